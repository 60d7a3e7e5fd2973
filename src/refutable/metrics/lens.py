"""What each block's output says when it is read as the last one's is: the logit lens (pass ``lens``)."""

import math

from refutable.metrics import GAUGES, METRICS, Values, metric
from refutable.traces.passes import LENS_DIVERGENCE, LENS_ENTROPY
from refutable.traces.trace import View


@METRICS.add
@metric(unit="nats", tap="block_output, logits", per="layer", invariant=GAUGES, reads="lens")
def lens_divergence(view: View) -> Values:
    """KL divergence from the model's output distribution to that of the logit lens after each block. At least 0.

    Sum of p log(p / q), p the model's, q the lens's, at the last token (Belrose et al. 2023, arXiv:2303.08112). 0 after
    the last block, which the run checks.
    """
    return view.column(LENS_DIVERGENCE)


@METRICS.add
@metric(
    unit="nats",
    tap="block_output, logits",
    per="layer",
    invariant=GAUGES,
    reads="lens",
    of_vocabulary=lambda size: (0.0, math.log(size)),
)
def lens_entropy(view: View) -> Values:
    """Entropy of the distribution that the logit lens reads after each block. In [0, log vocabulary].

    `output_entropy` after the last block.
    """
    return view.column(LENS_ENTROPY)
