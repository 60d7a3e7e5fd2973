"""How far back the gradient of the top prediction reaches, in tokens and blocks (pass ``reach``)."""

import numpy as np

from refutable.metrics import ALL_BUT_MEAN, GAUGES, METRICS, Values, metric, read
from refutable.traces.passes import REACH_TOKENS, REACH_WRITE, beside
from refutable.traces.trace import View


@METRICS.add
@metric(unit="share", tap="block_input", per="layer", invariant=ALL_BUT_MEAN, reads="reach")
def token_reach(view: View) -> Values:
    """Mean distance back to the tokens whose states before a block affect the top prediction, over prompt length - 1.

    In [0, 1]: 0 if only the last token's state matters, 1 if only the first token's does. A state is weighted by the
    effect of a change relative to its length. Raw, lengths include their means.
    """
    return read(view, REACH_TOKENS)


@METRICS.add
@metric(unit="share", tap="block_output, block_input", invariant=GAUGES, reads="reach")
def write_reach(view: View) -> Values:
    """Mean depth back to the blocks whose updates affect the top prediction, over the number of blocks - 1.

    In [0, 1]: 0 if only the last block's update matters, 1 if only the first block's does; NaN for a model of one
    block. An update is weighted by the effect, to first order, of removing it at every token (or every one but the
    first).
    """
    weight = view.column(beside(REACH_WRITE, view.first_token))
    back = np.arange(weight.shape[1])[::-1]
    reach: Values = weight @ back / weight.sum(axis=1) / (weight.shape[1] - 1)
    return reach
