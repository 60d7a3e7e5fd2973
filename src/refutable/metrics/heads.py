"""How far the attention heads of a block add up, at the last token (pass ``heads``).

A head's contribution is its columns of the output matrix applied to its mix of values; the bias belongs to no head. Not
measured if a norm follows the heads' sum. In raw form, contributions include their means over the width, which a
LayerNorm model never reads; the mean-centred form excludes them.
"""

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric, read
from refutable.traces.trace import View


@METRICS.add
@metric(unit="cosine", tap="attention heads", per="layer", invariant=ALL_BUT_MEAN, reads="heads")
def head_coherence(view: View) -> Values:
    """Mean cosine between the contributions of two heads, over all pairs of heads. In [-1 / (heads - 1), 1].

    1 if all heads add the same direction, 0 if they are orthogonal; NaN if a head adds nothing. Raw, it includes their
    means.
    """
    return read(view, "heads.cosine")


@METRICS.add
@metric(unit="share", tap="attention heads", per="layer", invariant=ALL_BUT_MEAN, reads="heads")
def head_cancellation(view: View) -> Values:
    """Norm of the heads' sum over the sum of their norms. In [0, 1]; 1 / sqrt(heads) for equal orthogonal heads.

    It cannot exceed 1 (triangle inequality). Raw, it includes the heads' means.
    """
    return read(view, "heads.sum_norm") / read(view, "heads.norm_sum")


@METRICS.add
@metric(unit="ratio", tap="attention heads", per="layer", invariant=ALL_BUT_MEAN, reads="heads")
def head_interference(view: View) -> Values:
    """Norm of the heads' sum over the root of the sum of their squared norms. In [0, sqrt(heads)].

    1 for orthogonal heads, above if they add up, below if they cancel; independent heads of mean zero have a root mean
    square of 1. NaN if no head adds anything. Raw, it includes the heads' means.
    """
    return read(view, "heads.sum_norm") / read(view, "heads.norm_root")


@METRICS.add
@metric(unit="share", tap="attention heads", per="layer", invariant=ALL_BUT_MEAN, reads="heads")
def largest_head_share(view: View) -> Values:
    """Norm of the largest head's contribution over the sum of all. In [1 / heads, 1]; raw, it includes the means."""
    return read(view, "heads.norm_max") / read(view, "heads.norm_sum")
