"""What a block's gain would be from attention alone, or without the angle between the two updates.

Computed from the lengths and angles that were measured; nothing is run anew, so what later layers would make of it is
not asked.
"""

import numpy as np

from refutable.metrics import METRICS, Values, metric, ratio_metric
from refutable.metrics.direction import norm_of_sum
from refutable.traces.trace import View


@METRICS.add
@ratio_metric(tap="block_input, attention_update", per="layer", invariant=("norm-scale", "value-output"))
def gain_by_attention(view: View) -> tuple[Values, Values]:
    """Norm of the block's input plus the attention update over the norm of the input: below 1, attention shortens it.

    Positive; 1 where attention adds nothing; raw, it counts the means. `attention_growth` below 1 says only that the
    update is shorter than the stream, which it may lengthen all the same.
    """
    return norm_of_sum(view, "block_input", "attention_update"), view.norm("block_input")


@METRICS.add
@metric(
    unit="ratio",
    tap="block_input, block_output, attention_update, mlp_update",
    per="layer",
    invariant=("norm-scale", "value-output"),
)
def gain_without_opposition(view: View) -> Values:
    """Gain of a block were its two updates at right angles, each as long as it is and at its own angle to the input.

    Positive, or 0 where no vectors lie so; the layer's gain itself where they are at right angles. Raw, it counts the
    means. A block that contracts because its updates oppose each other would not contract so.
    """
    squared = view.norm("block_output") ** 2 - 2 * view.product("attention_update", "mlp_update")
    return np.sqrt(np.maximum(squared, 0.0)) / view.norm("block_input")
