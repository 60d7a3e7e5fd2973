"""Angles between the residual stream and its updates. Cosines lie in [-1, 1]; a zero vector gives NaN.

In raw form, two vectors with a common mean over the width look alike, although a LayerNorm model never reads that mean.
The mean-centred form is the angle between what is read.
"""

import numpy as np

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric, ratio_metric
from refutable.traces.trace import Tap, View


@METRICS.add
@metric(unit="cosine", tap="attention_update, mlp_update", per="layer", invariant=ALL_BUT_MEAN)
def cos_attention_mlp(view: View) -> Values:
    """Cosine between a block's attention and MLP updates; negative if they oppose. Raw, it includes their means."""
    return view.product("attention_update", "mlp_update") / (view.norm("attention_update") * view.norm("mlp_update"))


@METRICS.add
@metric(unit="cosine", tap="block_input, attention_update", per="layer", invariant=ALL_BUT_MEAN)
def cos_attention_residual(view: View) -> Values:
    """Cosine between the attention update and the block's input; raw, it includes their means."""
    return view.product("block_input", "attention_update") / (view.norm("block_input") * view.norm("attention_update"))


@METRICS.add
@metric(unit="cosine", tap="block_input, mlp_update", per="layer", invariant=ALL_BUT_MEAN)
def cos_mlp_residual(view: View) -> Values:
    """Cosine between the MLP update and the block's input; raw, it includes their means."""
    return view.product("block_input", "mlp_update") / (view.norm("block_input") * view.norm("mlp_update"))


@METRICS.add
@metric(unit="cosine", tap="block_input, attention_update, mlp_update", per="layer", invariant=ALL_BUT_MEAN)
def cos_update_residual(view: View) -> Values:
    """Cosine between the whole update (attention + MLP) and the block's input; negative if the block subtracts.

    Raw, it includes their means.
    """
    product = view.product("block_input", "attention_update") + view.product("block_input", "mlp_update")
    return product / (view.norm("block_input") * norm_of_update(view))


@METRICS.add
@ratio_metric(unit="share", tap="attention_update, mlp_update", per="layer", invariant=ALL_BUT_MEAN)
def cancellation_ratio(view: View) -> tuple[Values, Values]:
    """Norm of the summed update over the sum of the two updates' norms.

    In [0, 1]: 1 for parallel updates, 0.707 for orthogonal ones of equal norm, 0 for opposite ones. It cannot exceed 1
    (triangle inequality), so "below 1" alone says nothing. Raw, it includes the updates' means.
    """
    return norm_of_update(view), view.norm("attention_update") + view.norm("mlp_update")


def norm_of_update(view: View) -> Values:
    """Return the norm of the attention and MLP updates together, shape (rows, layers)."""
    return norm_of_sum(view, "attention_update", "mlp_update")


def norm_of_sum(view: View, a: Tap, b: Tap) -> Values:
    """Return the norm of the sum of two taps, shape (rows, layers); their product must be a primitive."""
    squared = view.norm(a) ** 2 + view.norm(b) ** 2 + 2 * view.product(a, b)
    return np.sqrt(np.maximum(squared, 0.0))  # rounding may give opposite vectors a value just below zero
