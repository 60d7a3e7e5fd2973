"""How far the attention heads of a block add up, at the last token (pass ``heads``).

Every head's contribution is its own columns of the output matrix applied to its mix of values; the bias is no head's.
Not measured where a norm follows the heads' sum. Raw, contributions count their means over the width, which a LayerNorm
model never reads; the mean-centred form does not.
"""

from refutable.metrics import METRICS, Gauge, Values, metric
from refutable.traces.passes import paired
from refutable.traces.trace import View

INVARIANT: tuple[Gauge, ...] = ("norm-scale", "value-output")


@METRICS.add
@metric(unit="cosine", tap="attention heads", per="layer", invariant=INVARIANT, reads="heads")
def head_coherence(view: View) -> Values:
    """Mean cosine between what two different heads add, over all pairs of heads. In [-1 / (heads - 1), 1].

    1 where all heads add the same direction, 0 where they are orthogonal; a head that adds nothing gives NaN. Raw, it
    counts their means.
    """
    return _read(view, "heads.cosine")


@METRICS.add
@metric(unit="share", tap="attention heads", per="layer", invariant=INVARIANT, reads="heads")
def head_cancellation(view: View) -> Values:
    """Norm of the sum of the heads over the sum of their norms. In [0, 1]; 1 / sqrt(heads) for equal orthogonal ones.

    It cannot exceed 1 (triangle inequality). Raw, it counts the heads' means.
    """
    return _read(view, "heads.sum_norm") / _read(view, "heads.norm_sum")


@METRICS.add
@metric(unit="ratio", tap="attention heads", per="layer", invariant=INVARIANT, reads="heads")
def head_interference(view: View) -> Values:
    """Norm of the sum of the heads over the root of the sum of their squared norms. In [0, sqrt(heads)].

    1 for orthogonal heads, above where they add up, below where they cancel; root mean square 1 for independent ones of
    mean zero. NaN where no head adds anything. Raw, it counts the heads' means.
    """
    return _read(view, "heads.sum_norm") / _read(view, "heads.norm_root")


@METRICS.add
@metric(unit="share", tap="attention heads", per="layer", invariant=INVARIANT, reads="heads")
def largest_head_share(view: View) -> Values:
    """Norm of what the largest head adds over the sum of all heads' norms. In [1 / heads, 1]; raw, it counts means."""
    return _read(view, "heads.norm_max") / _read(view, "heads.norm_sum")


def _read(view: View, stem: str) -> Values:
    raw, centred = paired(stem)
    return view.column(centred if view.centred else raw)
