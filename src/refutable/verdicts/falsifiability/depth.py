"""How deep the models of a claim are, and how many tokens they know, so that generated data are of such models."""

from __future__ import annotations

from collections.abc import Iterable

from refutable.errors import NotMeasured
from refutable.models.row import ModelRow
from refutable.verdicts.falsifiability.choices import LEAST_DEPTH


def depth_of(rows: Iterable[ModelRow]) -> int:
    """Return the number of layers of the deepest of some models, `LEAST_DEPTH` at least."""
    return max((LEAST_DEPTH, *(_layers(row) for row in rows)))


def _layers(row: ModelRow) -> int:
    try:
        return int(row.fact("layers"))
    except (KeyError, NotMeasured):
        return LEAST_DEPTH


def vocabulary_of(rows: Iterable[ModelRow]) -> float | None:
    """Return the number of tokens of the model that knows most; None if there is no model or one is not known."""
    try:
        return max((float(row.fact("vocabulary")) for row in rows), default=None)
    except (KeyError, NotMeasured):
        return None
