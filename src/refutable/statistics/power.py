"""Power: the smallest effect a sample could have detected, and the n that would decide."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from scipy import optimize

from refutable._util.text import plural
from refutable.statistics import Fit, Side
from refutable.statistics.region import Region

POWER = 0.8
MOST = 1_000_000


@runtime_checkable
class Powered(Fit, Protocol):
    """A fit whose power is known."""

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often a bound from n units would lie beyond `threshold` if `value` were true."""


def outlook(fit: Fit, region: Region, alpha: float, powerless: str | None) -> Mapping[str, str]:
    """Return, for an undecided fit, the smallest detectable effect and the n that would decide if its value were true.

    `powerless` says why this statistic has no power; None if it has.
    """
    if powerless is not None or not isinstance(fit, Powered):
        return {"power": f"cannot be said: {powerless or 'this statistic has no law of it'}"}
    end, side = _nearest(fit, region)
    tail = alpha if region.one_sided else alpha / 2
    effect = smallest_effect(fit, end, side, tail)
    if effect is None:
        seen = f"none at {100 * POWER:.0f} % power with n = {fit.n}"
    else:
        word = "above" if side == "above" else "below"
        seen = f"{effect:.3g} {word} {end:g}, at {100 * POWER:.0f} % power with n = {fit.n}"
    n = deciding_n(fit, region, alpha)
    decides = f"more than {MOST}" if n is None else f"{n} {plural(fit.unit)}"
    return {
        "smallest effect": seen,
        "n that would decide": f"{decides}, were {fit.value:.4g} the true value ({100 * POWER:.0f} % power)",
    }


def _nearest(fit: Fit, region: Region) -> tuple[float, Side]:
    """Return the end of the region nearest to the value, and on which side of it the value must be proved to lie."""
    if region.one_sided:
        return region.threshold, "above" if fit.value >= region.threshold else "below"
    low = abs(fit.value - region.low) < abs(fit.value - region.high)
    return (region.low, "below") if low else (region.high, "above")


def smallest_effect(fit: Powered, end: float, side: Side, tail: float) -> float | None:
    """Return the smallest distance from `end`, on that side, that as many units detect with 80 % power, or None."""
    sign = 1 if side == "above" else -1

    def short(distance: float) -> float:
        return fit.power(end, side, tail, end + sign * distance, fit.n) - POWER

    far = max(abs(end), 1.0) * 1e-9
    while short(far) < 0:
        far *= 2
        if far > 1e12:  # the value has limits, as a correlation or a share: look inside them
            return next((i / 1000 for i in range(1, 2001) if short(i / 1000) >= 0), None)
    return float(optimize.brentq(short, 0.0, far, xtol=far * 1e-9)) if short(0.0) < 0 else 0.0


def deciding_n(fit: Powered, region: Region, alpha: float) -> int | None:
    """Return the n at which power reaches 80 % if the observed value is true, or None.

    It is the smallest such n where power grows with n. The power of a share or a median rises in steps, so somewhat
    fewer units may do as well.
    """

    def enough(n: int) -> bool:
        return _power(fit, region, alpha, n) >= POWER

    high = max(fit.n, 2)
    while not enough(high):
        high *= 2
        if high > MOST:
            return None
    return bisect.bisect_left(range(high), True, lo=1, key=enough)


def _power(fit: Powered, region: Region, alpha: float, n: int) -> float:
    """Return how often n units would decide if the observed value were true."""
    value = fit.value
    if region.one_sided:
        end, side = _nearest(fit, region)
        return fit.power(end, side, alpha, value, n)
    if region.low < value < region.high:  # both one-sided tests must succeed (Bonferroni)
        both = fit.power(region.low, "above", alpha, value, n) + fit.power(region.high, "below", alpha, value, n)
        return max(0.0, both - 1)
    end, side = _nearest(fit, region)
    return fit.power(end, side, alpha / 2, value, n) if math.isfinite(end) else 0.0
