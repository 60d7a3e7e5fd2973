"""The control ``permuted``: how often would the claim be SUPPORTED if the pairs were shuffled?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refutable.claims import MeasuredTest
from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Fit
from refutable.statistics.region import Region
from refutable.statistics.sample import Sample
from refutable.statistics.share_of_prompts import ShareFit
from refutable.verdicts.judge import decide
from refutable.verdicts.robustness import Control
from refutable.verdicts.verdict import Estimate, Verdict

SHUFFLES = 1000
WITHIN = "within category"
CONFIDENCE_TAIL = 0.025
Order = NDArray[np.intp]


def permuted_control(test: MeasuredTest, samples: tuple[Sample, ...], alpha: float) -> Control:
    """Shuffle the pairs of two metrics (or models between two groups) and judge each shuffle as the claim is judged.

    At most a share alpha of shuffles should be SUPPORTED. The part over all pairs is SUPPORTED, and the claim does not
    rest on its pairs, if most shuffles are; or if more are than alpha allows (by the lower 97.5 % bound of their share)
    and the observed value is no rarer than alpha among them. If prompts have categories, pairs are also shuffled within
    each, which preserves the effect of categories alone. That part is SUPPORTED, and so nothing is shown beyond the
    categories, if the observed value is no rarer than alpha among its shuffles (for a two-sided prediction: if more are
    SUPPORTED than alpha allows).
    """
    takes = STATISTICS[test.statistic].takes
    orders = {name: _orders(*exchange) for name, exchange in takes.exchanges(samples).items()}
    try:
        observed = _fit(test, samples).value
        parts = {name: _part(test, samples, alpha, order, observed, name) for name, order in orders.items()}
    except Undecidable as error:
        return Control(Verdict.INCONCLUSIVE, str(error))
    worst = max(parts.values(), key=lambda part: (part.verdict is Verdict.SUPPORTED, part.share or 0.0))
    why = "; ".join(f"{name}: {part.why}" for name, part in parts.items())
    return Control(worst.verdict, why, worst.estimate, worst.share, parts if len(parts) > 1 else {})


def _part(
    test: MeasuredTest, samples: tuple[Sample, ...], alpha: float, orders: Order, observed: float, name: str
) -> Control:
    values, supported = _shuffled(test, samples, alpha, orders)
    share = ShareFit(supported, len(values), "shuffle")
    low, high = share.lower(CONFIDENCE_TAIL), share.upper(CONFIDENCE_TAIL)
    p = _permutation_p(values, observed, test.region)
    level = 1 - 2 * CONFIDENCE_TAIL
    method = f"{share.method}; p of the value among shuffles" if p is not None else share.method
    estimate = Estimate(
        value=share.value,
        low=low,
        high=high,
        level=level,
        n=share.n,
        unit="shuffle",
        p=p,
        method=method,
        statistic="share SUPPORTED",
        of=tuple(test.of),
    )
    if name == WITHIN:
        holds = p > alpha if p is not None else low > alpha
    else:
        holds = share.value > 0.5 or (low > alpha and p is not None and p > alpha)
    verdict = Verdict.SUPPORTED if holds else Verdict.REFUTED
    told = f"; p = {p:.3g} of what was found among them" if p is not None else ""
    why = f"{100 * share.value:.3g} % of {share.n} shuffles would be SUPPORTED{told}"
    return Control(verdict, why, estimate, share.value)


def _shuffled(
    test: MeasuredTest, samples: tuple[Sample, ...], alpha: float, orders: Order
) -> tuple[NDArray[np.float64], int]:
    """Return the value of each shuffle, and how many of them the claim's test would support."""
    statistic = STATISTICS[test.statistic]
    fits = [_fit(test, statistic.takes.shuffled(samples, order)) for order in orders]
    supported = sum(decide(fit, test.region, alpha) is Verdict.SUPPORTED for fit in fits)
    return np.array([fit.value for fit in fits]), supported


def _fit(test: MeasuredTest, samples: tuple[Sample, ...]) -> Fit:
    return STATISTICS[test.statistic].fit(Data(samples, test.holds_region if test.holds else None, test.holds_above))


def _orders(n: int, clusters: Sequence[str] | None) -> Order:
    """Return the same SHUFFLES orders of n units each time, (SHUFFLES, n); within clusters if these are given."""
    keys = np.random.default_rng(0).random((SHUFFLES, n))
    if clusters is None:
        return np.argsort(keys, axis=1)
    codes = np.unique(list(clusters), return_inverse=True)[1]
    orders = np.empty((SHUFFLES, n), dtype=np.intp)
    orders[:, np.argsort(codes, kind="stable")] = np.argsort(codes + keys, axis=1)
    return orders


def _permutation_p(values: NDArray[np.float64], observed: float, region: Region) -> float | None:
    """Return the share of shuffles at least as far in the predicted direction; None for a two-sided prediction."""
    if not region.one_sided:
        return None
    slack = 1e-9 * max(1.0, abs(observed))
    reach = values <= observed + slack if np.isinf(region.low) else values >= observed - slack
    return float((1 + reach.sum()) / (1 + len(values)))
