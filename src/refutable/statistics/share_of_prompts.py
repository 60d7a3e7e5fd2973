"""The share of prompts where something holds, by Clopper and Pearson."""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass, replace

from scipy import special

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.region import Region
from refutable.statistics.sample import Sample
from refutable.statistics.shapes import Counted


@dataclass(frozen=True, slots=True)
class ShareFit:
    """A binomial share with exact bounds (Clopper and Pearson, 1934, Biometrika 26)."""

    k: int
    n: int
    unit: str
    method: str = "Clopper-Pearson"

    @property
    def value(self) -> float:
        """The observed share."""
        return self.k / self.n

    def lower(self, tail: float) -> float:
        """Return the exact lower bound at error probability `tail`; 0 when nothing held."""
        return 0.0 if self.k == 0 else float(special.betaincinv(self.k, self.n - self.k + 1, tail))

    def upper(self, tail: float) -> float:
        """Return the exact upper bound at error probability `tail`; 1 when everything held."""
        return 1.0 if self.k == self.n else float(special.betainccinv(self.k + 1, self.n - self.k, tail))

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the exact one-sided binomial p-value against `threshold`; no share is below 0 or above 1."""
        if threshold <= 0 if side == "above" else threshold >= 1:
            return 0.0
        p = min(max(threshold, 0.0), 1.0)
        if side == "below":
            return float(special.bdtr(self.k, self.n, p))
        return float(special.bdtrc(self.k - 1, self.n, p)) if self.k else 1.0

    def effect_size(self, threshold: float) -> None:
        """Return None: the share itself is the effect."""

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often the bound would lie beyond `threshold` if `value` were the true share."""
        least = _counts_needed(threshold if side == "above" else 1 - threshold, tail, n)
        true = min(max(value if side == "above" else 1 - value, 0.0), 1.0)
        return float(special.bdtrc(least - 1, n, true))  # 1 if none are needed, 0 if all are too few


@functools.lru_cache(maxsize=4096)
def _counts_needed(threshold: float, tail: float, n: int) -> int:
    """Return the fewest of n that prove a share above the threshold; n + 1 if none do."""
    if threshold < 0:
        return 0

    def proves(k: int) -> bool:
        return bool(special.betaincinv(k, n - k + 1, tail) > threshold)

    return bisect.bisect_left(range(n + 1), True, lo=1, key=proves)


def share_of_prompts(data: Data) -> ShareFit:
    """The share of units where `holds` is true, as an estimate for all prompts of their kind."""
    (sample,) = data.samples
    assert data.holds is not None
    if sample.n == 0:
        raise Undecidable("no unit, no share")
    return ShareFit(int(data.holds.contains(sample.values).sum()), sample.n, sample.unit)


def indicators(data: Data) -> tuple[Sample, ...]:
    """Return 1 for each unit where `holds` is true and 0 for the others."""
    assert data.holds is not None
    sample = data.samples[0]
    return (replace(sample, of=f"{sample.of} {data.holds}", values=data.holds.contains(sample.values).astype(float)),)


def _extremes(n: int, region: Region) -> tuple[ShareFit, ...]:
    middle = () if region.one_sided else _counts_between(region, n)
    return tuple(ShareFit(k, n, "prompt") for k in (n, 0, *middle))


def _counts_between(region: Region, n: int) -> tuple[int, int]:
    """Return two neighbouring counts, one of which proves both ends at the smallest alpha at which any count does."""
    low, high = (min(max(end, 0.0), 1.0) for end in (region.low, region.high))

    def surer(k: int) -> bool:
        return bool(special.bdtrc(k - 1, n, low) <= special.bdtr(k, n, high))

    many = bisect.bisect_left(range(n), True, lo=1, key=surer)
    return many - 1, many


STATISTICS.add(
    Statistic(
        "share_of_prompts",
        (Assumption.INDEPENDENT,),
        share_of_prompts,
        takes=Counted(),
        extremes=_extremes,
        varies=indicators,
    ),
)
