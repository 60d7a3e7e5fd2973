"""Effective rank and variance of a prompt's token states about their mean (pass ``rank``).

Over all tokens but the first, whose massive activation would dominate both; `first_token: with` counts it. Scaling or
rotating all states, or adding one vector to each, does not change the effective rank; scaling changes the variance by
its square. In raw form, states include their means over the width, which a LayerNorm model never reads; the
mean-centred form excludes them.
"""

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric, read
from refutable.traces.passes import RANK_IN, RANK_OUT, VARIANCE_IN, VARIANCE_OUT
from refutable.traces.trace import View


@METRICS.add
@metric(unit="directions", tap="block_output", per="layer", invariant=ALL_BUT_MEAN, reads="rank")
def effective_rank(view: View) -> Values:
    """Effective rank of the states of a prompt's tokens after each block. In [1, tokens - 2]; raw, includes the means.

    One more with the first token. exp of the entropy of the singular values' shares; NaN if all tokens have the same
    state.
    """
    return read(view, RANK_OUT)


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN, reads="rank")
def rank_gain(view: View) -> Values:
    """Effective rank of the states of a prompt's tokens after each block over that before. Positive.

    Below 1 if a block removes directions; 1 if it only shortens every state, and for any prompt of three tokens. Raw,
    it includes the means.
    """
    return read(view, RANK_OUT) / read(view, RANK_IN)


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN, reads="rank")
def variance_gain(view: View) -> Values:
    """Trace of the covariance of the states of a prompt's tokens after each block over that before. Positive.

    Below 1 if a block moves tokens together; scaling every state gives the square of the factor. Raw, it includes the
    means.
    """
    return read(view, VARIANCE_OUT) / read(view, VARIANCE_IN)
