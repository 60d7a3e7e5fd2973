"""What a run measured of models as they are, grouped by model and weights: what most figures are drawn from."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from refutable.evidence.roles import Role, is_plain, roles_of
from refutable.models.registry import load_registry
from refutable.models.subject import WeightsKind
from refutable.statistics.sample import Sample
from refutable.traces.store import Store
from refutable.traces.trace import Trace

if TYPE_CHECKING:
    from refutable.reports.journal import RunResult

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Of:
    """Whose numbers a row of a table has.

    Attributes:
        model: the model's name in the registry.
        title: how people write it.
        weights: which weights: pretrained, dequantised, local, initialisation, published table and the like.
        detail: the rest of the story of the weights, in words.
        dtype: of weights and activations.
        prompt_set: name of the prompt set.
        prompts: number of prompts.
        seeds: number of freshly drawn sets of weights; 0 for weights that are not drawn.
    """

    model: str
    title: str
    weights: str
    detail: str
    dtype: str
    prompt_set: str
    prompts: int
    seeds: int

    @property
    def drawn(self) -> bool:
        """Whether the weights are freshly drawn: of no trained model."""
        return self.weights == WeightsKind.INITIALISATION

    @property
    def published(self) -> bool:
        """Whether the numbers are a published table's, and nothing was measured here."""
        return self.weights == WeightsKind.PUBLISHED

    @property
    def whose(self) -> tuple[str, ...]:
        """What tells two subjects apart."""
        return self.model, self.weights, self.detail, self.dtype, self.prompt_set


@dataclass(frozen=True, slots=True)
class Measured:
    """A model with some weights, on a prompt set.

    Attributes:
        of: whose numbers they are.
        traces: of the forward pass: one, or one for each seed of freshly drawn weights.
        wiring: ``parallel``, ``sequential`` or ``unknown``.
        norm: ``LayerNorm``, ``RMSNorm`` or ``unknown``.
    """

    of: Of
    traces: tuple[Trace, ...]
    wiring: str = UNKNOWN
    norm: str = UNKNOWN

    @property
    def facts(self) -> dict[str, Any]:
        """The columns of `Of`, for a row of a table."""
        return asdict(self.of)


class HasOwner(Protocol):
    """A row that knows whose it is."""

    @property
    def whose(self) -> tuple[str, ...]:
        """What tells two subjects apart."""
        ...


Row = TypeVar("Row", bound=HasOwner)


def by_subject(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the rows of each subject, in order of appearance."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(row.whose, []).append(row)
    return list(groups.values())


class Remembering(Store):
    """A store that several figures read, each trace from disk only once."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.place)
        self._store = store
        self._read: dict[str, Trace | None] = {}

    def get(self, key: str) -> Trace | None:
        """Return the trace of a key, or None, as the store does."""
        if key not in self._read:
            self._read[key] = self._store.get(key)
        return self._read[key]


def measured(run: RunResult, store: Store) -> list[Measured]:
    """Return what a run measured of models as they are: trained ones first, then freshly drawn weights.

    The passes are forward passes of models as claims are about them and of freshly drawn weights, including those of
    controls, as far as the store still has them. Variations (another dtype or first token beside a claim's own) are
    left out.
    """
    keys = dict.fromkeys(key for row in run.rows for key in row.traces)
    stored = (store.get(key) for key in keys)
    traces = {trace.key: trace for trace in stored if trace is not None and is_plain(trace.meta)}
    roles = roles_of(run.rows, {key: trace.meta for key, trace in traces.items()})
    groups: dict[Hashable, list[Trace]] = {}
    for key, trace in traces.items():
        if trace.meta["pass"] == "forward" and _is_shown(trace.meta, roles[key]):
            groups.setdefault(_group(trace.meta), []).append(trace)
    described = {row.name: row.described for row in load_registry()}
    found = [_measured(group, described) for group in groups.values()]
    return sorted(found, key=lambda one: (one.of.drawn, one.of.title, one.of.prompt_set, one.of.whose))


def with_trained(found: Sequence[Measured]) -> list[Measured]:
    """Return trained models and the freshly drawn weights of the same models; where none is trained, all of them."""
    trained = {one.of.model for one in found if not one.of.drawn}
    return [one for one in found if not trained or one.of.model in trained]


def pooled(samples: Sequence[Sample]) -> Sample:
    """Return the samples of a subject's traces as one: of freshly drawn weights, those of every seed."""
    first = samples[0]
    values = np.concatenate([sample.values for sample in samples])
    clusters = tuple(label for sample in samples for label in sample.clusters)
    texts = tuple(text for sample in samples for text in sample.prompts)
    return Sample(first.of, values, first.unit, clusters, texts, first.measured_in)


def _is_shown(meta: Mapping[str, Any], role: Role) -> bool:
    return role == "Subject" or meta["weights_kind"] == WeightsKind.INITIALISATION


def _group(meta: Mapping[str, Any]) -> Hashable:
    """Return what the traces of one subject share; freshly drawn weights of several seeds are one subject."""
    drawn = meta["weights_kind"] == WeightsKind.INITIALISATION
    told = (meta["model"], meta["weights_kind"], meta["weights_detail"], meta["dtype"], meta["prompts"])
    return (*told, meta.get("bos"), meta["tokens"], None if drawn else meta["weights"])


def _measured(traces: Sequence[Trace], described: Mapping[str, Mapping[str, object]]) -> Measured:
    traces = sorted(traces, key=lambda trace: (trace.meta.get("seed") or 0, trace.key))
    meta = traces[0].meta
    facts = meta.get("described") or described.get(meta["model"], {})
    drawn = meta["weights_kind"] == WeightsKind.INITIALISATION
    of = Of(
        model=meta["model"],
        title=meta["title"],
        weights=str(meta["weights_kind"]),
        detail=str(meta["weights_detail"]),
        dtype=meta["dtype"],
        prompt_set=str(meta["prompt_set"]),
        prompts=len(traces[0]),
        seeds=len(traces) if drawn else 0,
    )
    return Measured(of, tuple(traces), str(facts.get("wiring", UNKNOWN)), str(facts.get("norm", UNKNOWN)))
