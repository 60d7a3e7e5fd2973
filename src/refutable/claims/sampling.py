"""From a trace to the samples that a test's statistic is fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refutable.metrics import PARTS, evaluate
from refutable.statistics import STATISTICS
from refutable.statistics.sample import Sample
from refutable.traces.scale_folding import InputNorm
from refutable.traces.trace import Trace

if TYPE_CHECKING:
    from refutable.claims import MeasuredTest


def samples_of(test: MeasuredTest, name: str, trace: Trace, folded: InputNorm | None = None) -> tuple[Sample, ...]:
    """Return the samples of one metric of a test: one, or two if the statistic takes a ratio apart.

    `folded` says how the model normalises what its modules read, for the scale-folded form.

    Raises:
        NoSuchTap, NonFiniteError, BadInput: as `metrics.evaluate`.
    """
    parts = PARTS if STATISTICS[test.statistic].takes.parts else (None,)
    return tuple(
        evaluate(
            name,
            trace,
            position=test.position,
            norm=test.norm,
            layer=test.layer,
            first_token=test.first_token,
            first_block=test.first_block,
            folded=folded,
            part=part,
        )
        for part in parts
    )
