"""How far back the gradient of the top prediction reaches, in tokens and blocks (pass ``reach``)."""

import numpy as np

from refutable.metrics import GAUGES, METRICS, Values, metric
from refutable.traces.passes import REACH_TOKENS, REACH_WRITE, paired
from refutable.traces.trace import View


@METRICS.add
@metric(unit="share", tap="block_input", per="layer", invariant=("norm-scale", "value-output"), reads="reach")
def token_reach(view: View) -> Values:
    """Mean distance back to the tokens whose states before a block move the first choice, over the prompt's length - 1.

    In [0, 1]: 0 where the last token's state alone matters, 1 where the first token's does. A state weighs what a
    change of it does relative to its length. Raw, lengths count their means.
    """
    raw, centred = paired(REACH_TOKENS)
    return view.column(centred if view.centred else raw)


@METRICS.add
@metric(unit="share", tap="block_output, block_input", invariant=GAUGES, reads="reach")
def write_reach(view: View) -> Values:
    """Mean depth back to the blocks whose updates move the first choice, over the number of blocks - 1.

    In [0, 1]: 0 where the last block's update alone matters, 1 where the first's does; a model of one block has NaN.
    An update weighs what taking it out at every token does, to first order.
    """
    weight = view.column(REACH_WRITE)
    back = np.arange(weight.shape[1])[::-1]
    reach: Values = weight @ back / weight.sum(axis=1) / (weight.shape[1] - 1)
    return reach
