"""Which of the traces that a run read are of models as claims are about them, and which stand beside a claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from refutable.models.subject import WeightsKind
from refutable.traces.passes import PROBE_PASSES
from refutable.verdicts.row import VerdictRow

Meta = Mapping[str, Any]
Role = Literal["Subject", "Control", "Variation"]
ALIKE = (
    "weights",
    "seed",
    "dtype",
    "bos",
    "chat_template",
    "prompts",
)  # keys of meta in which a model's own traces agree


def roles_of(rows: Iterable[VerdictRow], metas: Mapping[str, Meta]) -> dict[str, Role]:
    """Return the role of each trace, by key.

    A Subject is the model of a claim as the claim is about it: the first trace of each model in a row, and those alike.
    What a row read of a model afterwards is a Control where its weights are freshly drawn, else a Variation.

    Args:
        rows: the run's.
        metas: the meta of the traces asked about, by key.
    """
    own: set[str] = set()
    for row in rows:
        first: dict[str, Meta] = {}
        for key in row.traces if row.about.get("evidence") != "initialization" else ():
            if (meta := metas.get(key)) is not None:
                mine = first.setdefault(meta["model"], meta)
                own |= {key} if all(meta.get(name) == mine.get(name) for name in ALIKE) else set()
    return {key: "Subject" if key in own else _beside(meta) for key, meta in metas.items()}


def is_plain(meta: Meta) -> bool:
    """Whether a trace is of a model as it is: neither a probe of a reduced instance nor under an intervention."""
    return meta["pass"] not in PROBE_PASSES and "intervention" not in meta


def _beside(meta: Meta) -> Role:
    return "Control" if meta["weights_kind"] == WeightsKind.INITIALISATION else "Variation"
