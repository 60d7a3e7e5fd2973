"""Which verdicts n units can ever reach, and how many units they need."""

from __future__ import annotations

import bisect
import functools

from refutable.statistics import Statistic
from refutable.statistics.region import Region
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

MOST_UNITS = 1_000_000


@functools.lru_cache(maxsize=4096)
def feasibility(statistic: Statistic, region: Region, alpha: float, n: int) -> tuple[str, ...]:
    """Return labels for the verdicts that n units can never reach, with how many units could.

    Among ``unsupportable: needs n``, ``unrefutable: needs n`` and ``hopeless``; empty if both can be reached.
    """
    reach = _reachable(statistic, region, alpha, n)
    labels = [
        f"{word}: {_needed(statistic, region, alpha, verdict)}"
        for verdict, word in ((Verdict.SUPPORTED, "unsupportable"), (Verdict.REFUTED, "unrefutable"))
        if verdict not in reach
    ]
    return ("hopeless", *labels) if len(labels) == 2 else tuple(labels)


def _reachable(statistic: Statistic, region: Region, alpha: float, n: int) -> set[Verdict]:
    if n < statistic.least:
        return set()
    if statistic.extremes is None:  # it has two bounds that never meet
        return {Verdict.REFUTED} if region.low == region.high else {Verdict.SUPPORTED, Verdict.REFUTED}
    return {decide(fit, region, alpha) for fit in statistic.extremes(n, region)}


def _needed(statistic: Statistic, region: Region, alpha: float, verdict: Verdict) -> str:
    def reaches(n: int) -> bool:
        return verdict in _reachable(statistic, region, alpha, n)

    most = 1
    while not reaches(most):
        most *= 2
        if most > MOST_UNITS:
            return "no n would do"
    # what can be reached only grows with n
    return f"needs {bisect.bisect_left(range(most + 1), True, lo=most // 2, key=reaches)}"
