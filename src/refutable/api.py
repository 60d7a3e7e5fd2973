"""The library behind `import refutable`. Only `measure` imports torch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from refutable._util.extras import require_measure
from refutable.claims import file as claims_files
from refutable.errors import BadInput, UnknownName
from refutable.evidence.describer import describer
from refutable.evidence.on_traces import judge_on_traces
from refutable.evidence.sample_source import SampleSource
from refutable.extensions import HOOK, is_extended
from refutable.hookspecs import extend_without_pytest
from refutable.metrics import METRICS, SEVERAL_LAYERS, evaluate, first_token_of
from refutable.models.device import choose_device
from refutable.models.file_hashes import FileHashes
from refutable.models.naming import misnamed
from refutable.models.own import is_own
from refutable.models.registry import ModelRegistry, load_registry
from refutable.models.row import ModelRow
from refutable.models.selection import select
from refutable.models.weights import Finder
from refutable.prompts.in_memory import prompts_from
from refutable.reports.formats.verdicts_json import read_run as read_reports
from refutable.traces.passes import Blocks, Bos, First, Intervention, pass_of
from refutable.traces.store import cache_folder, open_store
from refutable.traces.trace import Position, Trace

if TYPE_CHECKING:
    import pandas as pd

    from refutable.claims import BaseClaim
    from refutable.metrics import LayerChoice, Metric
    from refutable.statistics.sample import Sample
    from refutable.verdicts.judge import Judgement

LAYERS = ("first", "last", *SEVERAL_LAYERS, "each")
NORMS = ("raw", "centred")

__all__ = ["judge", "load_claims", "measure", "metric", "read_run"]


def load_claims(path: str | Path) -> tuple[BaseClaim, ...]:
    """Load every claim from a claims file and the files it includes.

    Extensions are loaded first (from installed packages and from the modules that the ini file names), so that claims
    can use what they add.

    Raises:
        BadInput: with one line per problem in the files.
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
    first_token: First = "with",
    coordinate: int | None = None,
    dtype: str = "float32",
    device: str = "auto",
    offline: bool = False,
    adapter: str | Path | None = None,
    name: str | None = None,
) -> Trace:
    """Make one pass over a model and return its trace.

    Args:
        model: a causal language model from transformers, already in memory and of any supported family, which is
            measured on its own device and in its own dtype and left as it was. Or the name of a model in the registry,
            a folder with safetensors and config.json, a GGUF file, or ``owner/name`` on the hub, which is found, loaded
            and released.
        tokenizer: for a model in memory, unless prompts are token ids. A named model has its own.
        prompts: the name of a packaged set, a file, a list of texts, or (for a model in memory) lists of token ids.
        run: the pass (`refutable.traces.passes`); each metric says which one it is read from.
        under: an intervention in the forward pass.
        blocks: which blocks are changed, a word, a number from 1 or several; or whose Jacobian is taken.
        bos: whether prompts begin with the beginning-of-sequence token.
        first_token: whether an intervention on every token changes the first as well; ``without`` spares it.
        coordinate: which coordinate of a block's output ``zero-coordinate`` sets to zero and ``mean-coordinate`` to
            its mean, from 0.
        dtype: for a named model or a folder.
        device: for a named model or a folder, as ``--device``.
        offline: never ask the hub for a named model.
        adapter: folder of a LoRA to merge into the weights of a named model or a folder.
        name: the name of a model in memory; for a path, the model in the registry that it holds.

    Raises:
        BadInput: an unknown model, family or prompt set, or unusable prompts.
        NotMeasured: there are no weights, or this pass means nothing on this model.
        InstrumentError: the measurement cannot be trusted.
    """
    _extend_once()
    given = prompts_from(prompts)
    spec = pass_of(run, given.prompts.name, under, blocks, bos, first_token, coordinate)
    if not isinstance(model, str | Path):
        if adapter is not None:
            raise BadInput("an adapter goes with a named model or a folder; merge it into a model in memory yourself")
        require_measure()
        from refutable.measurement.in_memory import measure_in_memory

        return measure_in_memory(model, tokenizer, given, spec, name)
    if tokenizer is not None or given.ids is not None:
        raise BadInput("a tokenizer and token ids go with a model in memory; a named model has its own tokenizer")
    chosen, folder = choose_device(device), cache_folder()
    finder = Finder(FileHashes(folder), chosen, offline=offline, cpu_asked=device == "cpu")
    row, path = _named(model, name, finder)
    selection = select(
        ModelRegistry([row]),
        chosen,
        models=(row.name,),
        weights=path or "pretrained",
        dtype=dtype,
        adapter=None if adapter is None else str(adapter),
    )
    source = SampleSource(selection, finder, open_store())
    source.give(given.prompts)
    return source.trace(selection.subject(row.name), spec)


def metric(
    name: str,
    trace: Trace,
    *,
    position: Position = "last",
    norm: Literal["raw", "centred"] = "raw",
    layer: LayerChoice = None,
    first_token: First | None = None,
    first_block: First | None = None,
) -> Sample:
    """Return a metric of a trace: `values` has one row per prompt, shape (n,), or (n, layers) for a metric per layer.

    `measured_in` is the unit of the values; `unit` says what a row is.

    Args:
        name: as claims write it; an unknown name is refused with the known ones.
        trace: returned by `measure`.
        position: the token; ``all`` is the mean over all positions but the first, ``whole`` the prompt as one matrix.
        norm: raw vectors, or less their mean over the width.
        layer: ``first``, ``last``, ``mean``, ``trend`` (a slope over layers) or a number from 1; None keeps all.
        first_token: ``with`` or ``without`` the first token, in what is over several tokens; None for the default.
        first_block: ``with`` or ``without`` the first block, in ``layer="mean"``; None for with it.

    Raises:
        BadInput: no such metric, position, norm or layer, no first token or block to choose there, or the metric is
            read from another pass.
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
    _check_firsts(chosen, position, layer, first_token, first_block)
    return evaluate(
        name, trace, position=position, norm=norm, layer=layer, first_token=first_token, first_block=first_block
    )


def _check_firsts(
    chosen: Metric, position: Position, layer: LayerChoice, first_token: First | None, first_block: First | None
) -> None:
    for word, asked in (("first_token", first_token), ("first_block", first_block)):
        if asked not in (None, *get_args(First)):
            raise UnknownName(f"{word}=", str(asked), get_args(First))
    if first_token is not None and first_token_of(chosen, position) is None:
        raise BadInput(
            f"metric {chosen.name!r} at position={position!r} is of one token; remove first_token={first_token!r}"
        )
    if first_block is not None and layer not in SEVERAL_LAYERS:
        raise BadInput(f"first_block={first_block!r} belongs to layer= {' or '.join(SEVERAL_LAYERS)}; remove it")


def judge(claim: BaseClaim, trace: Trace, *others: Trace) -> Judgement:
    """Judge a claim on the model and prompts of a trace: `verdict`, `why`, `estimate`, `labels`, `controls`.

    If the claim names other models or prompts, the details say so. Whatever needs another pass (a control on freshly
    drawn weights, a variation in dtype) is NOT_MEASURED unless its trace is among `others`. Models are identified by
    name: one name is one set of weights.

    Args:
        claim: measured, dynamical or an intervention.
        trace: from the pass that the claim's metric is read from.
        others: the plain pass that an intervention is compared with, the other model or dtype, freshly drawn weights.

    Raises:
        BadInput: one model's traces cannot decide the claim, or the traces cannot be told apart.
    """
    _extend_once()
    return judge_on_traces(claim, (trace, *others))


def read_run(folder: str | Path) -> pd.DataFrame:
    """Return the verdicts of a run, one per row, from `reports/`, a verdicts.json or a journal.

    Numbers that were not measured are missing, never zero. Needs pandas.

    Raises:
        BadInput: there is no run there, or pandas is not installed.
    """
    from refutable.reports.frame import verdicts_frame

    return verdicts_frame(read_reports(Path(folder))[0])


@functools.cache
def _extend_once() -> None:
    """Load extensions, unless pytest or the command already has: they also know conftest.py files."""
    if not is_extended(HOOK):
        extend_without_pytest()


def _named(model: str | Path, name: str | None, finder: Finder) -> tuple[ModelRow, str | None]:
    """Return the row of a model (the registry's, or its own), and the path at which `name` is said to be."""
    path, registry = Path(model), load_registry()
    if isinstance(model, Path) and not path.exists():
        raise BadInput(misnamed(str(model)))
    if name is None and (isinstance(model, Path) or registry.named(model) is None) and (row := registry.at(path)):
        return row, None
    if name is None and (isinstance(model, Path) or is_own(model, registry)):
        return describer(finder.hashes, offline=finder.offline).row(str(model)), None
    (row, *others) = registry.matching(str(model) if name is None else name)
    if others:
        raise BadInput(f"{model!r} names {1 + len(others)} models; name one")
    return row, None if name is None else str(path)
