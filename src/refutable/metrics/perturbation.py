"""Growth of a small change at the last token, exact to first order (pass ``perturbation``).

Random directions, the same for every block; over directions the geometric mean. Raw, lengths count their means over the
width, which a LayerNorm model never reads; the mean-centred form does not.
"""

import numpy as np

from refutable.metrics import METRICS, Gauge, Values, metric
from refutable.traces.passes import DEPTH_COSINE, paired
from refutable.traces.trace import View

INVARIANT: tuple[Gauge, ...] = ("norm-scale", "value-output")


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=INVARIANT, reads="perturbation")
def perturbation_growth(view: View) -> Values:
    """Length of the followed change after each block over its length before. Positive; raw, it counts the means.

    The change is put into the first block's input and arrives turned and stretched by the blocks before.
    """
    return _read(view, "perturbation.out") / _read(view, "perturbation.in")


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=INVARIANT, reads="perturbation")
def relative_perturbation_growth(view: View) -> Values:
    """The same relative to the stream: growth of the change over each block's gain. Raw, it counts the means."""
    return perturbation_growth.compute(view) / _gain(view)


@METRICS.add
@metric(unit="ratio", tap="block_output", invariant=INVARIANT, reads="perturbation")
def perturbation_amplification(view: View) -> Values:
    """Length of the followed change after the last block over what was put in. Positive; raw, it counts the means."""
    return _read(view, "perturbation.out")[:, -1]


@METRICS.add
@metric(unit="nats a block", tap="block_output", invariant=INVARIANT, reads="perturbation")
def relative_perturbation_slope(view: View) -> Values:
    """Least-squares slope over depth of the log of the followed change's length relative to the stream's.

    In nats a block, over the stream before each block and after the last; above 0 where a change outgrows what it
    changes (a positive Lyapunov exponent of the depth), below 0 where it decays. Raw, it counts the means.
    """
    change = np.concatenate([_read(view, "perturbation.in")[:, :1], _read(view, "perturbation.out")], axis=1)
    stream = np.concatenate([view.norm("block_input")[:, :1], view.norm("block_output")], axis=1)
    return _slope(np.log(change) - np.log(stream))


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=INVARIANT, reads="perturbation")
def noise_gain(view: View) -> Values:
    """Length of a change after a block over its length before, in random directions put into that block's input.

    Positive; raw, it counts the means.
    """
    return _read(view, "perturbation.noise_gain")


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=INVARIANT, reads="perturbation")
def noise_to_signal_gain(view: View) -> Values:
    """Noise gain of each block over the gain of the stream itself: 1 / the change of the signal-to-noise ratio.

    Below 1 where a block takes noise down against the signal. Raw, it counts the means.
    """
    return noise_gain.compute(view) / _gain(view)


@METRICS.add
@metric(unit="ratio", tap="block_output, block_input", per="layer", invariant=INVARIANT, reads="perturbation")
def radial_gain(view: View) -> Values:
    """Length of a change along the block's own input after the block over its length before. Raw, it counts the means.

    1, all but the norm's eps, in a parallel pre-norm block, whatever its weights: its modules read a norm's output,
    which such a change leaves alone.
    """
    return _read(view, "perturbation.radial_gain")


@METRICS.add
@metric(unit="cosine", tap="block_output, block_input", per="layer", invariant=INVARIANT, reads="perturbation")
def depth_cosine(view: View) -> Values:
    """Cosine between states of the stream k blocks apart, mean over all such pairs; *layer* k is the distance.

    Raw, it counts the means.
    """
    return _read(view, DEPTH_COSINE)


@METRICS.add
@metric(unit="blocks", tap="block_output, block_input", invariant=INVARIANT, reads="perturbation")
def depth_correlation_length(view: View) -> Values:
    """Number of blocks over which the cosine between states of the stream falls by a factor e.

    The inverse slope of -log(mean cosine at distance k) over k, least squares through cosine 1 at distance 0, over the
    distances before the first whose cosine is not positive; infinite values are NaN (no fall, or none to fit). Raw, it
    counts the means.
    """
    cosines = _read(view, DEPTH_COSINE)
    lag = np.arange(1, cosines.shape[1] + 1)
    used = np.cumprod(cosines > 0, axis=1).astype(bool)
    logs = np.log(np.where(used, cosines, 1.0))  # those not used weigh nothing: log 1 = 0, and their lag is left out
    rate = -(logs * lag).sum(axis=1) / (used * lag**2).sum(axis=1)
    return np.where(rate > 0, 1 / rate, np.nan)


def _gain(view: View) -> Values:
    return view.norm("block_output") / view.norm("block_input")


def _slope(values: Values) -> Values:
    """Return the least-squares slope of each row over 0, 1, 2, ..."""
    depth = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    slope: Values = values @ depth / (depth @ depth)
    return slope


def _read(view: View, stem: str) -> Values:
    raw, centred = paired(stem)
    return view.column(centred if view.centred else raw)
