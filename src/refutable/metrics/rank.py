"""Effective rank and variance of a prompt's token states about their mean (pass ``rank``).

Of all tokens but the first, whose massive activation would be both. A factor on all states, a rotation of them all, or
a vector added to each of them leaves the effective rank alone; the variance goes as the factor's square. Raw, states
count their means over the width, which a LayerNorm model never reads; the mean-centred form does not.
"""

from refutable.metrics import METRICS, Gauge, Values, metric
from refutable.traces.passes import RANK_IN, RANK_OUT, VARIANCE_IN, VARIANCE_OUT, paired
from refutable.traces.trace import View

INVARIANT: tuple[Gauge, ...] = ("norm-scale", "value-output")


@METRICS.add
@metric(unit="directions", tap="block_output", per="layer", invariant=INVARIANT, reads="rank")
def effective_rank(view: View) -> Values:
    """Effective rank of the states of a prompt's tokens after each block. In [1, tokens - 2]; raw, it counts the means.

    exp of the entropy of the singular values' shares; all tokens in one state give NaN.
    """
    return _read(view, RANK_OUT)


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=INVARIANT, reads="rank")
def rank_gain(view: View) -> Values:
    """Effective rank of the states of a prompt's tokens after each block over that before. Positive.

    Below 1 where a block takes directions away; a block that only shortens every state has 1, as has a prompt of three
    tokens, whatever the block does. Raw, it counts the means.
    """
    return _read(view, RANK_OUT) / _read(view, RANK_IN)


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=INVARIANT, reads="rank")
def variance_gain(view: View) -> Values:
    """Trace of the covariance of the states of a prompt's tokens after each block over that before. Positive.

    Below 1 where a block moves tokens together; one that shortens every state to a share has its square. Raw, it counts
    the means.
    """
    return _read(view, VARIANCE_OUT) / _read(view, VARIANCE_IN)


def _read(view: View, stem: str) -> Values:
    raw, centred = paired(stem)
    return view.column(centred if view.centred else raw)
