"""The stream against the uniform vector (1, ..., 1), which a LayerNorm takes off and an RMSNorm does not."""

import math

import numpy as np

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric
from refutable.traces.trace import View, mean_column


@METRICS.add
@metric(unit="share", tap="block_output", per="layer", invariant=ALL_BUT_MEAN)
def uniform_cosine(view: View) -> Values:
    """Absolute cosine between each block's output and the uniform vector. In [0, 1]; 0 mean-centred.

    A vector in a random direction of D dimensions has sqrt(2 / (pi D)) on average, 0.033 at D = 576: "orthogonal to the
    uniform vector" (Gupta et al. 2024, arXiv:2409.12951) says something only well below that. A zero vector gives NaN.
    """
    along = np.abs(view.of_tokens.column(mean_column("block_output"))) * math.sqrt(view.trace.meta["d_model"])
    along = view.gathered("norm", along) if view.position == "whole" else along
    return along * (not view.centred) / view.norm("block_output")
