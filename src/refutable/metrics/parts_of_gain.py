"""What a block's gain would be from attention alone, or without the angle between its two updates.

Computed from measured lengths and angles. Nothing is run again, so effects on later layers are not included.
"""

import numpy as np

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric, ratio_metric
from refutable.metrics.direction import norm_of_sum
from refutable.traces.trace import View


@METRICS.add
@ratio_metric(tap="block_input, attention_update", per="layer", invariant=ALL_BUT_MEAN)
def gain_by_attention(view: View) -> tuple[Values, Values]:
    """Norm of the block's input plus the attention update over the norm of the input; below 1, attention shortens it.

    Positive; 1 if attention adds nothing; raw, it includes the means. `attention_growth` below 1 only says that the
    update is shorter than the stream, which it may still lengthen.
    """
    return norm_of_sum(view, "block_input", "attention_update"), view.norm("block_input")


@METRICS.add
@metric(
    unit="ratio", tap="block_input, block_output, attention_update, mlp_update", per="layer", invariant=ALL_BUT_MEAN
)
def gain_without_opposition(view: View) -> Values:
    """Gain of a block if its updates were orthogonal, each with its own length and its own angle to the input.

    Positive, or 0 if no such vectors exist; equal to the layer's gain if the updates are orthogonal. A block that
    contracts because its updates oppose each other would not do so here. Raw, it includes the means.
    """
    squared = view.norm("block_output") ** 2 - 2 * view.product("attention_update", "mlp_update")
    return np.sqrt(np.maximum(squared, 0.0)) / view.norm("block_input")
