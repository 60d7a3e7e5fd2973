"""The size of an update relative to the stream (growth) or to what the module read (gain).

A module's gain relative to its *normalised* input changes when the norm's scale is moved into the next matrix, which
does not change the function. Growth does not change, nor does the scale-folded form (`traces.scale_folding`). In raw
form, all of them include means over the width that a LayerNorm model never reads; the mean-centred form excludes them.
"""

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, ratio_metric
from refutable.metrics.direction import norm_of_update
from refutable.traces.trace import View


@METRICS.add
@ratio_metric(tap="attention_update, attention_input", per="layer", invariant=("value-output",))
def attention_gain(view: View) -> tuple[Values, Values]:
    """Norm of the attention update over the norm of attention's normalised input (the notebook's attention gain).

    Includes the scale of that input's norm, which could as well be in the next matrix, and, raw, the means.
    """
    return view.norm("attention_update"), view.norm("attention_input")


@METRICS.add
@ratio_metric(tap="mlp_update, mlp_input", per="layer", invariant=("value-output",))
def mlp_gain(view: View) -> tuple[Values, Values]:
    """Norm of the MLP update over the norm of the MLP's normalised input (the notebook's MLP gain).

    Includes the scale of that input's norm, which could as well be in the next matrix, and, raw, the means.
    """
    return view.norm("mlp_update"), view.norm("mlp_input")


@METRICS.add
@ratio_metric(tap="attention_update, block_input", per="layer", invariant=ALL_BUT_MEAN)
def attention_growth(view: View) -> tuple[Values, Values]:
    """Norm of the attention update over the norm of the block's input; raw, it includes their means."""
    return view.norm("attention_update"), view.norm("block_input")


@METRICS.add
@ratio_metric(tap="attention_update, mlp_update, block_input", per="layer", invariant=ALL_BUT_MEAN)
def update_growth(view: View) -> tuple[Values, Values]:
    """Norm of the whole update (attention + MLP) over the norm of the block's input; raw, it includes their means."""
    return norm_of_update(view), view.norm("block_input")


@METRICS.add
@ratio_metric(tap="attention_update, mlp_update", per="layer", invariant=ALL_BUT_MEAN)
def attention_over_mlp(view: View) -> tuple[Values, Values]:
    """Norm of the attention update over the norm of the MLP update of one block; raw, it includes their means.

    Infinite if the MLP adds nothing.
    """
    return view.norm("attention_update"), view.norm("mlp_update")


@METRICS.add
@ratio_metric(tap="mlp_update, block_input", per="layer", invariant=ALL_BUT_MEAN)
def mlp_growth(view: View) -> tuple[Values, Values]:
    """Norm of the MLP update over the norm of the block's input; raw, it includes their means."""
    return view.norm("mlp_update"), view.norm("block_input")
