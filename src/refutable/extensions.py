"""Extensions: metrics, statistics, theorems, families, passes, prompts, models, reports and figures that others add.

An extension is a function that takes `Extensions` and adds things to it. There are two ways to provide one:

* the pytest hook `pytest_refutable_extend`, in a conftest.py or in a module named by the ini key
  `refutable_extensions`;
* an entry point of the group ``refutable.extensions``, in an installed package.

An extension's things are added all together and replace those it added before; a taken name is refused.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType

from refutable._util.registry import Registry
from refutable.errors import BadInput, RefutableError
from refutable.figures import FIGURES, Figure
from refutable.metrics import METRICS, Metric
from refutable.models.families import FAMILIES, Family
from refutable.models.registry import MODELS
from refutable.models.row import ModelRow
from refutable.prompts.find import PROMPTS
from refutable.prompts.prompt_set import PromptSet
from refutable.reports.formats import REPORTS, Report
from refutable.statistics import STATISTICS, Statistic
from refutable.theorems import THEOREMS, Theorem
from refutable.traces.passes import PASSES, PassKind

GROUP = "refutable.extensions"
HOOK = "pytest_refutable_extend"
CONFTEST = "conftest"


@dataclass(frozen=True, slots=True)
class Extensions:
    """What an extension adds to, each by ``add(thing)``; docs/adding-*.md say how things are made."""

    metrics: Registry[Metric] = field(default_factory=METRICS.empty)
    statistics: Registry[Statistic] = field(default_factory=STATISTICS.empty)
    theorems: Registry[Theorem] = field(default_factory=THEOREMS.empty)
    families: Registry[Family] = field(default_factory=FAMILIES.empty)
    passes: Registry[PassKind] = field(default_factory=PASSES.empty)
    prompts: Registry[PromptSet] = field(default_factory=PROMPTS.empty)
    models: Registry[ModelRow] = field(default_factory=MODELS.empty)
    reports: Registry[Report] = field(default_factory=REPORTS.empty)
    figures: Registry[Figure] = field(default_factory=FIGURES.empty)


ENGINE = Extensions(METRICS, STATISTICS, THEOREMS, FAMILIES, PASSES, PROMPTS, MODELS, REPORTS, FIGURES)


def extend(source: str, extension: Callable[[Extensions], object]) -> None:
    """Let an extension add its things.

    Args:
        source: the extension's name; what it added under this name before is replaced.
        extension: adds things to the `Extensions` it is given.

    Raises:
        BadInput: it raises, or adds something unusable; the message says where.
    """
    extensions = Extensions()
    try:
        extension(extensions)
    except RefutableError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())
        raise BadInput(f"{source}: {type(error).__name__}: {text} ({where.filename}:{where.lineno})") from None
    for each in fields(Extensions):
        getattr(ENGINE, each.name).adopt(source, getattr(extensions, each.name))
    for name in extensions.metrics:
        try:
            PASSES[extensions.metrics[name].reads]
        except BadInput as error:
            raise BadInput(f"{extensions.metrics.place(name)}: metric {name!r} reads an {error}") from None


def is_extended(source: str) -> bool:
    """Whether an extension of this name has added anything."""
    return any(getattr(ENGINE, each.name).has_adopted(source) for each in fields(Extensions))


def load_installed() -> None:
    """Load every installed extension, by its entry point in the group ``refutable.extensions``.

    Raises:
        BadInput: one cannot be imported, is not a function, or adds something unusable.
    """
    for point in importlib.metadata.entry_points(group=GROUP):
        source = f"extension {point.name!r} ({point.value})"
        try:
            extension = point.load()
        except (ImportError, AttributeError) as error:
            raise BadInput(f"{source}: cannot be imported ({error}); fix or uninstall the package") from None
        if not callable(extension):
            raise BadInput(f"{source}: is no function; name one that takes Extensions: package.module:function")
        extend(source, extension)


def import_modules(names: Sequence[str], folder: Path) -> list[ModuleType]:
    """Import the modules that the ini key `refutable_extensions` names.

    Args:
        names: dotted names, resolved from the ini file's folder or among installed packages; ``conftest`` is the file
            conftest.py in that folder.
        folder: the ini file's.

    Raises:
        BadInput: one cannot be imported or has no hook.
    """
    if names and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return [_import(name, folder) for name in names]


def _import(name: str, folder: Path) -> ModuleType:
    fix = f"name a module beside the ini file or of an installed package, with a function {HOOK}(extensions)"
    try:
        module = _from_file(folder / "conftest.py") if name == CONFTEST else importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise BadInput(f"refutable_extensions: {name!r} cannot be imported ({error}); {fix}") from None
    if not hasattr(module, HOOK) and not hasattr(module, "pytest_plugins"):
        raise BadInput(f"refutable_extensions: {name!r} has no {HOOK}; {fix}")
    return module


def _from_file(file: Path) -> ModuleType:
    """Import a file by path: many files are called conftest, and any of them may already be imported as such."""
    spec = importlib.util.spec_from_file_location(f"refutable_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
