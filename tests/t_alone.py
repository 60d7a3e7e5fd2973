"""Fits by t alone, to hold against other implementations of it."""

from __future__ import annotations

import math
from dataclasses import replace

from refutable.statistics.correlation import CorrelationFit
from refutable.statistics.ratio_of_means import RatioFit


class Nothing:
    """A test beside t that forbids nothing."""

    def lower(self, tail):
        return math.inf

    def upper(self, tail):
        return -math.inf

    def p_value(self, threshold, side):
        return 0.0


def t_alone(found):
    """Return a fit without the bounds beside its t bounds (or Fisher's), and without what skewness adds."""
    if hasattr(found, "logs"):
        return replace(found, logs=t_alone(found.logs))
    if isinstance(found, CorrelationFit):
        return replace(found, jackknife=0.0)
    if isinstance(found, RatioFit):
        return replace(found, beside=Nothing(), skewness=None)
    return replace(found, beside=None, skewness=None, least=None)
