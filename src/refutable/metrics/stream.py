"""The stream's norm late against early, and the share of it that is not its mean."""

import math

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric
from refutable.traces.trace import View, centred_norm_column

EARLY, LATE, OF = 5, 30, 32


@METRICS.add
@metric(unit="ratio", tap="block_output", invariant=ALL_BUT_MEAN)
def late_over_early(view: View) -> Values:
    """Norm of the stream after block 30 of 32 over that after block 5 of 32, at the same relative depths of any model.

    Positive; the blocks are numbers L * 30/32 and L * 5/32, rounded up. Raw, it includes the stream's mean.
    """
    late, early = (math.ceil(view.layers * block / OF) - 1 for block in (LATE, EARLY))
    return view.norm("block_output")[:, late] / view.norm("block_output")[:, early]


@METRICS.add
@metric(unit="share", tap="block_output", per="layer", invariant=ALL_BUT_MEAN)
def centred_share(view: View) -> Values:
    """Norm of each block's output less its mean over the width, over its whole norm.

    In [0, 1]; 1 if the entries' mean is 0, so that the norm is sqrt(d) standard deviations. Always 1 mean-centred.
    """
    return view.column(centred_norm_column("block_output")) / view.norm("block_output")
