"""In how many directions the states of a prompt's tokens differ (pass ``rank``): the effective rank, about their mean.

A factor on all states, a rotation of them all, or a vector added to each of them leaves it alone. Raw, states count
their means over the width, which a LayerNorm model never reads; the mean-centred form does not.
"""

from refutable.metrics import Gauge, Values, metric
from refutable.passes import RANK_IN, RANK_OUT, paired
from refutable.trace import View

INVARIANT: tuple[Gauge, ...] = ("norm-scale", "value-output")


@metric(unit="directions", tap="block_output", per="layer", invariant=INVARIANT, reads="rank")
def effective_rank(view: View) -> Values:
    """Effective rank of the states of a prompt's tokens after each block. In [1, tokens - 1]; raw, it counts the means.

    exp of the entropy of the singular values' shares; all tokens in one state give NaN.
    """
    return _read(view, RANK_OUT)


@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=INVARIANT, reads="rank")
def rank_gain(view: View) -> Values:
    """Effective rank of the states of a prompt's tokens after each block over that before. Positive.

    Below 1 where a block takes directions away; a block that only shortens every state has 1. Raw, it counts the means.
    """
    return _read(view, RANK_OUT) / _read(view, RANK_IN)


def _read(view: View, stem: str) -> Values:
    raw, centred = paired(stem)
    return view.column(centred if view.centred else raw)
