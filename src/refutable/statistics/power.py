"""Power: the smallest effect a sample could have detected, and the n from which to which it would decide."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from typing import Protocol, Self, runtime_checkable

import scipy
from scipy import special

from refutable._util.text import plural
from refutable.statistics import Fit, Side
from refutable.statistics.region import Region

POWER = 0.8
MOST = 1_000_000
QUARTER = 0.25
LARGE = 1e300


@runtime_checkable
class Powered(Fit, Protocol):
    """A fit whose power is known."""

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often a bound from n units would lie beyond `threshold` if `value` were true."""


@runtime_checkable
class Spread(Powered, Protocol):
    """A fit whose power rests on an estimated spread."""

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the spread."""

    def with_spread(self, factor: float) -> Self:
        """Return it as if its values were spread out by this factor."""


def outlook(fit: Fit, region: Region, alpha: float, powerless: str | None) -> Mapping[str, str]:
    """Return, for an undecided fit, the smallest detectable effect and the n that would decide if its value were true.

    `powerless` says why this statistic has no power; None if it has.
    """
    if powerless is not None or not isinstance(fit, Powered):
        return {"power": f"cannot be said: {powerless or 'this statistic has no law of it'}"}
    end, side = _nearest(fit.value, region)
    tail = alpha if region.one_sided else alpha / 2
    effect = smallest_effect(fit, end, side, tail)
    if effect is None:
        seen = f"none at {100 * POWER:.0f} % power with n = {fit.n}"
    else:
        word = "above" if side == "above" else "below"
        seen = f"{effect:.3g} {word} {end:g}, at {100 * POWER:.0f} % power with n = {fit.n}"
    low, best, high = (MOST if n is None else n for n in deciding_range(fit, region, alpha))
    most = f"more than {MOST}" if high == MOST else str(high)
    decides = f"{most if low == MOST else f'{low} to {most}'} {plural(fit.unit)}"
    if best < MOST:
        decides += f"; {best} were {fit.value:.4g} the true value"
    return {
        "smallest effect": seen,
        "n that would decide": f"{decides} ({100 * POWER:.0f} % power; looking again is a second look)",
    }


def _nearest(value: float, region: Region) -> tuple[float, Side]:
    """Return the end of the region nearest to a value, and on which side of it the value must be proved to lie."""
    if region.one_sided:
        return region.threshold, "above" if value >= region.threshold else "below"
    low = abs(value - region.low) < abs(value - region.high)
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
    return float(scipy.optimize.brentq(short, 0.0, far, xtol=far * 1e-9)) if short(0.0) < 0 else 0.0


def deciding_range(fit: Powered, region: Region, alpha: float) -> tuple[int | None, int | None, int | None]:
    """Return the fewest, the likeliest and the most units that decide, given what the sample leaves open.

    The likeliest number takes the observed value and spread for the true ones, which are seldom that. The value lies
    between its bounds at 1/4 with probability 1/2, and so does the spread between those of its chi-squared law: the
    fewest units go with the most distant value and the smallest spread, the most with the nearest and the largest. None
    where no number decides.
    """
    low, high = (min(max(bound, -LARGE), LARGE) for bound in (fit.lower(QUARTER), fit.upper(QUARTER)))
    wide, narrow = (_spread(fit, quantile) for quantile in (QUARTER, 1 - QUARTER))
    numbers = [deciding_n(narrow, region, alpha, value) for value in (low, high)]
    fewest = min((n for n in numbers if n is not None), default=None)
    inside = region.low < low and high < region.high
    outside = high < region.low or low > region.high
    numbers = [deciding_n(wide, region, alpha, value) for value in (low, high)] if inside or outside else [None]
    most = None if None in numbers else max(n for n in numbers if n is not None)
    return fewest, deciding_n(fit, region, alpha), most


def _spread(fit: Powered, quantile: float) -> Powered:
    """Return a fit as if the spread were larger than the observed one with probability `quantile`, where it has one."""
    if not isinstance(fit, Spread) or fit.freedom <= 0:
        return fit
    return fit.with_spread(math.sqrt(fit.freedom / float(special.chdtri(fit.freedom, 1 - quantile))))


def deciding_n(fit: Powered, region: Region, alpha: float, value: float | None = None) -> int | None:
    """Return the n at which power reaches 80 % if `value`, by default the observed one, is true, or None.

    It is the smallest such n where power grows with n. The power of a share or a median rises in steps, so somewhat
    fewer units may do as well.
    """
    true = fit.value if value is None else value

    def enough(n: int) -> bool:
        return _power(fit, region, alpha, n, true) >= POWER

    high = max(fit.n, 2)
    while not enough(high):
        high *= 2
        if high > MOST:
            return None
    return bisect.bisect_left(range(high), True, lo=1, key=enough)


def _power(fit: Powered, region: Region, alpha: float, n: int, value: float) -> float:
    """Return how often n units would decide if `value` were true."""
    if region.one_sided:
        end, side = _nearest(value, region)
        return fit.power(end, side, alpha, value, n)
    if region.low < value < region.high:  # both one-sided tests must succeed (Bonferroni)
        both = fit.power(region.low, "above", alpha, value, n) + fit.power(region.high, "below", alpha, value, n)
        return max(0.0, both - 1)
    end, side = _nearest(value, region)
    return fit.power(end, side, alpha / 2, value, n) if math.isfinite(end) else 0.0
