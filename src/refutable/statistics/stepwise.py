"""p-values adjusted for their number, step by step.

By hand, because importing `scipy.stats` takes longer than judging a hundred claims, and statsmodels' version of Holm's
runs the garbage collector on each call (50 ms).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Holm's adjusted p-values, in the shape and order of `p`: they bound the chance of any false rejection."""
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Benjamini and Hochberg's, likewise: they bound the expected share of false rejections."""
    order = np.argsort(p)[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1)))
    return adjusted
