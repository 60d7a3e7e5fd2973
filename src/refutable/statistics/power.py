"""Power: the smallest effect a sample could have seen, and the n that would decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, TypeGuard, runtime_checkable

from scipy import optimize

from refutable._util.text import plural
from refutable.statistics import Fit, Side
from refutable.statistics.region import Region

POWER = 0.8
MOST = 1_000_000


@runtime_checkable
class Powered(Fit, Protocol):
    """A fit that can say how often a bound of n units would lie beyond a threshold, were a value true."""

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return that probability."""
        ...


def _powered(fit: Fit) -> TypeGuard[Powered]:
    return hasattr(fit, "power")


def outlook(fit: Fit, region: Region, alpha: float, powerless: str | None) -> Mapping[str, str]:
    """Return, for a fit that did not decide, the smallest effect it could see and the n that would decide its value.

    Args:
        fit: the statistic fitted to the sample.
        region: what was predicted.
        alpha: error probability each way.
        powerless: why this statistic cannot say it; None where it can.
    """
    if powerless is not None or not _powered(fit):
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
    """Return the end of the region next to the value, and on which side of it the value is proved to lie."""
    if region.one_sided:
        return region.threshold, "above" if fit.value >= region.threshold else "below"
    low = abs(fit.value - region.low) < abs(fit.value - region.high)
    return (region.low, "below") if low else (region.high, "above")


def smallest_effect(fit: Powered, end: float, side: Side, tail: float) -> float | None:
    """Return the smallest distance from `end`, on that side, seen with 80 % power by as many units; None for none."""
    sign = 1 if side == "above" else -1

    def short(distance: float) -> float:
        return fit.power(end, side, tail, end + sign * distance, fit.n) - POWER

    far = max(abs(end), 1.0) * 1e-9
    while short(far) < 0:
        far *= 2
        if far > 1e12:
            return _inside_unit(short)
    return float(optimize.brentq(short, 0.0, far, xtol=far * 1e-9)) if short(0.0) < 0 else 0.0


def _inside_unit(short: Callable[[float], float]) -> float | None:
    """Return the smallest distance where those beyond a limit are no values at all: a correlation's, a share's."""
    grid = [i / 1000 for i in range(1, 2001)]
    return next((distance for distance in grid if short(distance) >= 0), None)


def deciding_n(fit: Fit, region: Region, alpha: float) -> int | None:
    """Return how many units would decide with 80 % power, were the value seen true, and one fewer not; None if none.

    The fewest where power grows with n; a share's and a median's rises in steps, and somewhat fewer may do as well.
    """

    def enough(n: int) -> bool:
        return _power(fit, region, alpha, n) >= POWER

    high = max(fit.n, 2)
    while not enough(high):
        high *= 2
        if high > MOST:
            return None
    low = 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def _power(fit: Fit, region: Region, alpha: float, n: int) -> float:
    """Return how often n units would decide, were the value seen the true one."""
    assert _powered(fit)
    value = fit.value
    if region.one_sided:
        end, side = _nearest(fit, region)
        return fit.power(end, side, alpha, value, n)
    if region.low < value < region.high:  # two one-sided tests, both of which must succeed (Bonferroni)
        both = fit.power(region.low, "above", alpha, value, n) + fit.power(region.high, "below", alpha, value, n)
        return max(0.0, both - 1)
    end, side = _nearest(fit, region)
    return fit.power(end, side, alpha / 2, value, n) if math.isfinite(end) else 0.0
