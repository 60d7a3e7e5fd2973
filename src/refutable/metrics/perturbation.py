"""Growth of a small change at the last token, exact to first order (pass ``perturbation``).

The change has random directions, the same for every block; results are geometric means over directions. In raw form,
lengths include their means over the width, which a LayerNorm model never reads; the mean-centred form excludes them.
"""

import numpy as np

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric, read
from refutable.traces.passes import DEPTH_COSINE
from refutable.traces.trace import View


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN, reads="perturbation")
def perturbation_growth(view: View) -> Values:
    """Length of the followed change after each block over its length before. Positive; raw, it includes the means.

    The change is added to the first block's input; earlier blocks turn and stretch it.
    """
    return read(view, "perturbation.out") / read(view, "perturbation.in")


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN, reads="perturbation")
def relative_perturbation_growth(view: View) -> Values:
    """Growth of the followed change relative to the stream, that is, to each block's gain. Raw, includes the means."""
    return perturbation_growth.compute(view) / _gain(view)


@METRICS.add
@metric(unit="ratio", tap="block_output", invariant=ALL_BUT_MEAN, reads="perturbation")
def perturbation_amplification(view: View) -> Values:
    """Length of the followed change after the last block over its first length. Positive; raw, includes the means."""
    return read(view, "perturbation.out")[:, -1]


@METRICS.add
@metric(unit="nats a block", tap="block_output", invariant=ALL_BUT_MEAN, reads="perturbation")
def relative_perturbation_slope(view: View) -> Values:
    """Least-squares slope over depth of the log of the followed change's length relative to the stream's.

    In nats per block, from the first block's input to the last block's output. Above 0 if a change outgrows the stream
    (a positive Lyapunov exponent of the depth), below 0 if it decays. Raw, it includes the means.
    """
    change = np.concatenate([read(view, "perturbation.in")[:, :1], read(view, "perturbation.out")], axis=1)
    stream = np.concatenate([view.norm("block_input")[:, :1], view.norm("block_output")], axis=1)
    return _slope(np.log(change) - np.log(stream))


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN, reads="perturbation")
def noise_gain(view: View) -> Values:
    """Length of a change after a block over its length before, for random directions added to that block's input.

    Positive; raw, it includes the means.
    """
    return read(view, "perturbation.noise_gain")


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN, reads="perturbation")
def noise_to_signal_gain(view: View) -> Values:
    """Noise gain of each block over the gain of the stream: the inverse of the change in signal-to-noise ratio.

    Below 1 if a block reduces noise against the signal. Raw, it includes the means.
    """
    return noise_gain.compute(view) / _gain(view)


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN, reads="perturbation")
def radial_gain(view: View) -> Values:
    """Length after a block, over length before, of a change along the block's own input. Raw, it includes the means.

    1, except for the norm's eps, in a parallel pre-norm block, whatever its weights: its modules read the output of a
    norm, which such a change does not affect.
    """
    return read(view, "perturbation.radial_gain")


@METRICS.add
@metric(unit="cosine", tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN, reads="perturbation")
def depth_cosine(view: View) -> Values:
    """Cosine between states of the stream k blocks apart, mean over all such pairs; *layer* k is the distance.

    Raw, it includes the means.
    """
    return read(view, DEPTH_COSINE)


@METRICS.add
@metric(unit="blocks", tap="block_output, block_input", invariant=ALL_BUT_MEAN, reads="perturbation")
def depth_correlation_length(view: View) -> Values:
    """Number of blocks over which the cosine between states of the stream falls by a factor e.

    The inverse slope of -log(mean cosine at distance k) over k, by least squares through cosine 1 at distance 0, over
    the distances before the first with a cosine that is not positive. NaN if nothing falls or there is nothing to fit.
    Raw, it includes the means.
    """
    cosines = read(view, DEPTH_COSINE)
    lag = np.arange(1, cosines.shape[1] + 1)
    used = np.cumprod(cosines > 0, axis=1).astype(bool)
    logs = np.log(np.where(used, cosines, 1.0))  # unused distances contribute nothing: log 1 = 0, and no lag below
    rate = -(logs * lag).sum(axis=1) / (used * lag**2).sum(axis=1)
    return np.where(rate > 0, 1 / rate, np.nan)


def _gain(view: View) -> Values:
    return view.norm("block_output") / view.norm("block_input")


def _slope(values: Values) -> Values:
    """Return the least-squares slope of each row over 0, 1, 2, ..."""
    depth = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    slope: Values = values @ depth / (depth @ depth)
    return slope
