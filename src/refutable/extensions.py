"""Extensions: metrics, statistics, theorems, families, passes, prompts, models and reports that others add.

An extension is a function that takes `Extensions` and adds things to it. There are two ways in:

* the pytest hook `pytest_refutable_extend`, in a conftest.py or in a module that the ini key `refutable_extensions`
  names;
* an entry point of the group ``refutable.extensions``, in an installed package.

What one extension adds comes in as a whole, in place of what it added before; a name that is taken is refused.
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
from typing import Any

from refutable._util.registry import Registry
from refutable.errors import BadInput, RefutableError
from refutable.metrics import METRICS, Metric
from refutable.models.families import FAMILIES, Family
from refutable.models.registry import MODELS, ModelRow
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
    """Where an extension adds things, each by ``add(thing)``.

    Attributes:
        metrics: made by `refutable.metrics.metric` or `ratio_metric` (docs/adding-a-metric.md).
        statistics: docs/adding-a-statistic.md.
        theorems: made by `refutable.theorems.theorem` (docs/adding-a-theorem.md).
        families: docs/adding-a-family.md.
        passes: docs/adding-a-pass.md.
        prompts: docs/adding-prompts.md.
        models: docs/adding-a-model.md.
        reports: docs/adding-a-report.md.
    """

    metrics: Registry[Metric] = field(default_factory=lambda: Registry("metric", Metric))
    statistics: Registry[Statistic] = field(default_factory=lambda: Registry("statistic", Statistic))
    theorems: Registry[Theorem] = field(default_factory=lambda: Registry("property", Theorem))
    families: Registry[Family] = field(default_factory=lambda: Registry("family", Family))
    passes: Registry[PassKind] = field(default_factory=lambda: Registry("pass", PassKind))
    prompts: Registry[PromptSet] = field(default_factory=lambda: Registry("prompt set", PromptSet))
    models: Registry[ModelRow] = field(default_factory=lambda: Registry("model", ModelRow))
    reports: Registry[Report] = field(default_factory=lambda: Registry("report", Report))


REGISTRIES: dict[str, Registry[Any]] = {
    "metrics": METRICS,
    "statistics": STATISTICS,
    "theorems": THEOREMS,
    "families": FAMILIES,
    "passes": PASSES,
    "prompts": PROMPTS,
    "models": MODELS,
    "reports": REPORTS,
}


def extend(source: str, extension: Callable[[Extensions], object]) -> None:
    """Let an extension add what it has.

    Args:
        source: what the extension is called; what it added under this name before is taken out first.
        extension: adds things to the `Extensions` that it is given.

    Raises:
        BadInput: it raises, or adds what cannot be used; says where.
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
        REGISTRIES[each.name].adopt(source, getattr(extensions, each.name))
    for name in extensions.metrics:
        _check_reads(extensions.metrics[name], extensions.metrics.place(name))


def is_extended(source: str) -> bool:
    """Whether an extension of this name has added anything."""
    return any(registry.has_adopted(source) for registry in REGISTRIES.values())


def load_installed() -> None:
    """Let every installed package extend refutable that has an entry point of the group ``refutable.extensions``.

    Raises:
        BadInput: one cannot be imported, is no function, or adds what cannot be used.
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
    """Import the modules that the ini key `refutable_extensions` names; each has the hook.

    Args:
        names: dotted names, found from the folder of the ini file or among what is installed; ``conftest`` is the file
            conftest.py in that folder.
        folder: that of the ini file.

    Raises:
        BadInput: one cannot be imported, or has no hook.
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
    """Import a file by its path: many files are called conftest, and any of them may have been imported as that."""
    spec = importlib.util.spec_from_file_location(f"refutable_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check_reads(metric: Metric, place: str) -> None:
    try:
        PASSES[metric.reads]
    except BadInput as error:
        raise BadInput(f"{place}: metric {metric.name!r} reads an {error}") from None
