"""How a block changes the norm of the residual stream.

In raw form, every norm here includes the stream's mean over the width, which a LayerNorm model never reads: a constant
in a bias changes it but no logit. The mean-centred form excludes it.
"""

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric, ratio_metric
from refutable.traces.trace import CENTRED_HEAD_INPUT_COLUMN, HEAD_INPUT_COLUMN, View


@METRICS.add
@ratio_metric(tap="block_output, block_input", invariant=ALL_BUT_MEAN)
def last_gain(view: View) -> tuple[Values, Values]:
    """Norm of the last block's output over the norm of its input, both before the final norm.

    Positive; 1 keeps the norm; raw, it includes the stream's mean. ``hidden_states[-1]`` of most libraries comes after
    the final norm, and is something else.
    """
    return view.norm("block_output")[:, -1], view.norm("block_input")[:, -1]


@METRICS.add
@ratio_metric(tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN)
def layer_gain(view: View) -> tuple[Values, Values]:
    """Norm of each block's output over the norm of its input. Positive; layer 1 is the first block.

    Raw, it includes the stream's mean, which a LayerNorm model never reads.
    """
    return view.norm("block_output"), view.norm("block_input")


@METRICS.add
@ratio_metric(tap="block_output", invariant=ALL_BUT_MEAN)
def total_amplification(view: View) -> tuple[Values, Values]:
    """Norm of the last block's output over the norm of the first block's output.

    Positive; raw, it includes the stream's mean. Leaves out the step from the embedding to the first block's output, as
    the documents do.
    """
    return view.norm("block_output")[:, -1], view.norm("block_output")[:, 0]


@METRICS.add
@ratio_metric(tap="block_output, block_input", invariant=ALL_BUT_MEAN)
def amplification_from_embedding(view: View) -> tuple[Values, Values]:
    """Norm of the last block's output over the norm of what the first block reads: the embedding with positions.

    Positive; raw, it includes the stream's mean. `total_amplification` leaves out the first block's step.
    """
    return view.norm("block_output")[:, -1], view.norm("block_input")[:, 0]


@METRICS.add
@ratio_metric(tap="head_input, block_input", invariant=ALL_BUT_MEAN, last_only=True)
def gain_after_final_norm(view: View) -> tuple[Values, Values]:
    """Norm of what the unembedding reads, after the final norm, over the norm of the last block's input.

    This is what ``hidden_states[-1] / hidden_states[-2]`` of most libraries reads: mistaken for a gain, and here to
    judge numbers that were read so. Positive. It includes the final norm's own scale, which could as well be in the
    unembedding (no rewrite here moves it), and, raw, the means.
    """
    behind = CENTRED_HEAD_INPUT_COLUMN if view.centred else HEAD_INPUT_COLUMN
    return view.prompts_column(behind), view.norm("block_input")[:, -1]


@METRICS.add
@metric(unit="norm", tap="block_output", per="layer", invariant=ALL_BUT_MEAN)
def residual_norm(view: View) -> Values:
    """Euclidean norm of each block's output, in the model's own scale; raw, it includes the stream's mean."""
    return view.norm("block_output")
