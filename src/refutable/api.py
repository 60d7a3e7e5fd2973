"""The library behind `import refutable`. Only `measure` imports torch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from refutable._util.extras import require_measure
from refutable.claims import file as claims_files
from refutable.errors import BadInput, UnknownName
from refutable.evidence.on_traces import judge_on_traces
from refutable.evidence.sample_source import SampleSource
from refutable.extensions import HOOK, is_extended
from refutable.hookspecs import extend_without_pytest
from refutable.metrics import METRICS, evaluate
from refutable.models.device import choose_device
from refutable.models.file_hashes import FileHashes
from refutable.models.registry import ModelRegistry, ModelRow, load_registry
from refutable.models.selection import select
from refutable.models.weights import Finder
from refutable.prompts.in_memory import prompts_from
from refutable.reports.formats.verdicts_json import read_run as read_reports
from refutable.traces.passes import Blocks, Bos, Intervention, pass_of
from refutable.traces.store import Store, cache_folder
from refutable.traces.trace import Position, Trace

if TYPE_CHECKING:
    import pandas as pd

    from refutable.claims import BaseClaim
    from refutable.metrics import LayerChoice
    from refutable.statistics.sample import Sample
    from refutable.verdicts.judge import Judgement

LAYERS = ("first", "last", "mean", "each")
NORMS = ("raw", "centred")

__all__ = ["judge", "load_claims", "measure", "metric", "read_run"]


def load_claims(path: str | Path) -> tuple[BaseClaim, ...]:
    """Load every claim of a claims file and of the files that it includes.

    Extensions are asked first (installed packages, and the modules that the ini file names), so that claims may name
    what they add.

    Raises:
        BadInput: with one line for every problem in the files.
    """
    _extend_once()
    return claims_files.load_claims(Path(path))


def measure(
    model: Any,
    tokenizer: Any = None,
    prompts: str | Path | Sequence[str] | Sequence[Sequence[int]] = "grand-unified-25",
    *,
    run: str = "forward",
    under: Intervention = "none",
    blocks: Blocks = "all",
    bos: Bos = "default",
    dtype: str = "float32",
    device: str = "auto",
    offline: bool = False,
    name: str | None = None,
) -> Trace:
    """Make one pass over a model and return its trace.

    Args:
        model: a causal language model of transformers that is already in memory, of any supported family: it is
            measured on its own device and in its own dtype, and afterwards it is as it was. Or the name of a model in
            the registry, the folder of one (safetensors and config.json) or a GGUF file: found, loaded and released.
        tokenizer: of a model in memory; not needed where prompts are token ids. A named model has its own.
        prompts: a packaged set's name, a file, a list of texts, or (for a model in memory) a list of token id lists.
        run: which pass (`refutable.traces.passes`); metrics say which they are read from.
        under: an intervention in the forward pass.
        blocks: which blocks are changed, or whose Jacobian is taken.
        bos: whether prompts begin with the beginning-of-sequence token.
        dtype: of a named model or a folder.
        device: of a named model or a folder, as ``--device``.
        offline: never ask the hub for a named model.
        name: what a model in memory is called; of a GGUF file, the model of the registry that it holds.

    Raises:
        BadInput: an unknown model, family or prompt set, or prompts that cannot be used.
        NotMeasured: there are no weights, or this pass means nothing on this model.
        InstrumentError: the measurement cannot be believed.
    """
    _extend_once()
    given = prompts_from(prompts)
    spec = pass_of(run, given.prompts.name, under, blocks, bos)
    if not isinstance(model, str | Path):
        require_measure()
        from refutable.measurement.in_memory import measure_in_memory

        return measure_in_memory(model, tokenizer, given, spec, name)
    if tokenizer is not None or given.ids is not None:
        raise BadInput("a tokenizer and token ids go with a model in memory; a named model has its own tokenizer")
    row, path = _named(model, name)
    chosen = choose_device(device)
    selection = select(
        ModelRegistry([row]), chosen, models=(row.name,), weights=str(path) if path else "pretrained", dtype=dtype
    )
    folder = cache_folder()
    finder = Finder(FileHashes(folder), chosen, offline=offline, cpu_asked=device == "cpu")
    source = SampleSource(selection, finder, Store(folder))
    source.give(given.prompts)
    return source.trace(selection.subject(row.name), spec)


def metric(
    name: str,
    trace: Trace,
    *,
    position: Position = "last",
    norm: Literal["raw", "centred"] = "raw",
    layer: LayerChoice = None,
) -> Sample:
    """Return a metric of a trace: `values` has one row a prompt, shape (n,), or (n, layers) of one with layers.

    `measured_in` is their unit, `unit` what one row is.

    Args:
        name: as claims write it; a wrong one is answered with those there are.
        trace: what `measure` returned.
        position: which token; ``all`` is the mean over every position but the first, ``whole`` the prompt as a matrix.
        norm: raw vectors, or with their mean over the width taken off.
        layer: ``first``, ``last``, ``mean`` or a number from 1; None keeps every layer.

    Raises:
        BadInput: no such metric, position, norm or layer; or the metric is read from another pass.
        NoSuchTap: the architecture has no such quantity, or the model no such layer.
        NonFiniteError: a primitive it reads is NaN or infinite.
    """
    chosen = METRICS[name]
    if chosen.reads != trace.meta["pass"]:
        raise BadInput(
            f"metric {name!r} is read from the pass {chosen.reads!r}, and this trace is of {trace.meta['pass']!r}:"
            f" refutable.measure(..., run={chosen.reads!r})"
        )
    if layer is not None and chosen.per != "layer":
        raise BadInput(f"metric {name!r} has one value a prompt and none a layer; remove layer={layer!r}")
    for word, asked, known in (("position", position, get_args(Position)), ("norm", norm, NORMS)):
        if asked not in known:
            raise UnknownName(f"{word}=", str(asked), known)
    if isinstance(layer, str) and layer not in LAYERS:
        raise UnknownName("layer=", layer, LAYERS)
    return evaluate(name, trace, position=position, norm=norm, layer=layer)


def judge(claim: BaseClaim, trace: Trace, *others: Trace) -> Judgement:
    """Judge a claim on the model and the prompts of a trace: `verdict`, `why`, `estimate`, `labels`, `controls`.

    Where the claim names other models or prompts, the details say so. What needs another pass (a control on freshly
    drawn weights, a variation in dtype) is NOT_MEASURED beside the verdict, unless its trace is among `others`. Models
    are told apart by name: one name is one set of weights.

    Args:
        claim: measured, dynamical or an intervention.
        trace: from the pass that the claim's metric is read from.
        others: the plain pass that an intervention is held against, the other model or dtype, freshly drawn weights.

    Raises:
        BadInput: the claim is not decided by one model's traces, or the traces cannot be told apart.
    """
    _extend_once()
    return judge_on_traces(claim, (trace, *others))


def read_run(folder: str | Path) -> pd.DataFrame:
    """Return the verdicts of a run, a row each: `reports/`, a verdicts.json or a journal.

    Numbers that were not measured are missing, never zero. Needs pandas.

    Raises:
        BadInput: there is no run there, or pandas is not installed.
    """
    from refutable.reports.frame import verdicts_frame

    return verdicts_frame(read_reports(Path(folder))[0])


@functools.cache
def _extend_once() -> None:
    """Let extensions add what they have, unless a run of pytest or the command has: its conftest.py files know more."""
    if not is_extended(HOOK):
        extend_without_pytest()


def _named(model: str | Path, name: str | None) -> tuple[ModelRow, Path | None]:
    """Return the row of a model (named, a folder by its config.json, a GGUF file by `name`), and the path."""
    path = Path(model)
    if path.is_dir():
        from refutable.measurement.loading.dry_run import parameters_of
        from refutable.models.folder import row_of_folder

        return row_of_folder(path, parameters_of), path
    if path.is_file() and name is None:
        raise BadInput(f"{path}: a file does not say which model of the registry it holds; give its name: name=...")
    if isinstance(model, Path) and not path.exists():
        raise BadInput(f"{path}: no such folder or file; give a folder of safetensors and config.json, or a GGUF file")
    (row, *others) = load_registry().matching(str(model) if name is None else name)
    if others:
        raise BadInput(f"{model!r} names {1 + len(others)} models; name one")
    return row, path if path.is_file() else None
