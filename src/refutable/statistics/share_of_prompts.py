"""The share of prompts on which something holds, by Clopper and Pearson."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from refutable.errors import Undecidable
from refutable.predicate import Region
from refutable.statistics import STATISTICS, Data, Side, Statistic


@dataclass(frozen=True, slots=True)
class ShareFit:
    """A binomial share with exact bounds (Clopper and Pearson, 1934, Biometrika 26)."""

    k: int
    n: int
    unit: str
    method: str = "Clopper-Pearson"

    @property
    def value(self) -> float:
        """The share seen."""
        return self.k / self.n

    def lower(self, tail: float) -> float:
        """Return the exact lower bound at error probability `tail`; 0 when nothing held."""
        return 0.0 if self.k == 0 else float(stats.beta.ppf(tail, self.k, self.n - self.k + 1))

    def upper(self, tail: float) -> float:
        """Return the exact upper bound at error probability `tail`; 1 when everything held."""
        return 1.0 if self.k == self.n else float(stats.beta.isf(tail, self.k + 1, self.n - self.k))

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the exact one-sided binomial p-value against `threshold`."""
        p = min(max(threshold, 0.0), 1.0)
        return float(stats.binomtest(self.k, self.n, p, "greater" if side == "above" else "less").pvalue)

    def effect_size(self, threshold: float) -> None:
        """Return None: the share itself is the effect."""


def share_of_prompts(data: Data) -> ShareFit:
    """The share of units on which `holds` is true, as an estimate of the share among all prompts of their kind."""
    (sample,) = data.samples
    assert data.holds is not None
    if sample.n == 0:
        raise Undecidable("no unit, no share")
    return ShareFit(int(data.holds.contains(sample.values).sum()), sample.n, sample.unit)


def _extremes(n: int, region: Region) -> tuple[ShareFit, ...]:
    middle = [] if region.one_sided else [int(n * region.threshold) + step for step in (-1, 0, 1, 2)]
    return tuple(ShareFit(k, n, "prompt") for k in (n, 0, *middle) if 0 <= k <= n)


STATISTICS.add(
    "share_of_prompts",
    Statistic(
        "share_of_prompts",
        ("prompts are independent draws of their kind",),
        share_of_prompts,
        needs_holds=True,
        extremes=_extremes,
        spans="share",
    ),
)
