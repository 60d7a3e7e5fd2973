"""Singular values and spectral radii of Jacobians at the last token (passes ``jacobian``, ``through``)."""

import numpy as np

from refutable.errors import NotMeasured
from refutable.metrics import ALL_BUT_MEAN, GAUGES, METRICS, Values, metric
from refutable.traces.passes import (
    JACOBIAN_NORM,
    JACOBIAN_RADIUS,
    JACOBIAN_RESIDUAL,
    KRYLOV,
    RADIUS_RESIDUAL,
    THROUGH_NORM,
    THROUGH_RESIDUAL,
    paired,
)
from refutable.traces.trace import View


@METRICS.add
@metric(unit="ratio", tap="d block_output / d block_input", per="layer", invariant=ALL_BUT_MEAN, reads="jacobian")
def jacobian_norm(view: View) -> Values:
    """Largest singular value of a block's Jacobian: the most by which it can stretch a small change. Positive.

    The raw form includes the mean. In a LayerNorm model, whose blocks pass the mean on unchanged, it is at least 1.
    """
    return _converged(view, paired(JACOBIAN_NORM)[view.centred], paired(JACOBIAN_RESIDUAL)[view.centred])


@METRICS.add
@metric(unit="ratio", tap="d block_output / d block_input", per="layer", invariant=GAUGES, reads="jacobian")
def spectral_radius(view: View) -> Values:
    """Largest modulus of an eigenvalue of a block's Jacobian: whether changes grow when it is applied repeatedly.

    At least 1, except for the norm's eps, in every parallel pre-norm block, whose own input is an eigenvector of
    eigenvalue 1, and in every LayerNorm block, where the mean direction is. The raw and mean-centred forms are taken to
    be the same.
    """
    return _converged(view, JACOBIAN_RADIUS, RADIUS_RESIDUAL)


@METRICS.add
@metric(
    unit="nats a block",
    tap="d block_output of the last / d block_input of the first",
    invariant=ALL_BUT_MEAN,
    reads="through",
)
def largest_relative_growth(view: View) -> Values:
    """Rate at which the fastest small change of the first block's input outgrows the stream, mean over blocks, in nats.

    The log of the largest singular value of the Jacobian through all blocks, minus the log of the stream's own
    amplification, over the number of blocks: the largest Lyapunov exponent of the depth, relative to the stream. No
    random direction (`relative_perturbation_slope`) is faster from end to end. Raw, it includes the mean.
    """
    column, residual = (paired(stem)[view.centred] for stem in (THROUGH_NORM, THROUGH_RESIDUAL))
    stretch = _converged(view, column, residual)[:, -1]
    amplified = view.norm("block_output")[:, -1] / view.norm("block_input")[:, 0]
    return (np.log(stretch) - np.log(amplified)) / view.layers


def _converged(view: View, name: str, residual: str) -> Values:
    """Return a column, or raise NotMeasured if its residual exceeds the tolerance."""
    values, off = view.column(name), view.column(residual)
    read = off if view.only is None else off[:, view.only]
    tolerance = KRYLOV["tolerance"]
    if (read > tolerance).any():
        raise NotMeasured(
            f"{view.trace.meta['model']}: {name} has not converged in {KRYLOV['steps']:g} steps for"
            f" {int((read > tolerance).sum())} of {np.size(read)} blocks of prompts (residual {read.max():.2g},"
            f" allowed {tolerance:g})"
        )
    return values
