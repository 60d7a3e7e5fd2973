"""Statistics that may be looked at again and again: their martingales, and how often any look is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from refutable.statistics import STATISTICS, Data
from refutable.statistics.bounded_mean import BoundedFit
from refutable.statistics.mean_anytime import EFFECTS, AnytimeFit
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility

LOOKS = 200


def fit(values, name="mean_anytime", holds=None):
    sample = Sample("last_gain", np.asarray(values, dtype=float), "prompt")
    return STATISTICS[name].fit(Data((sample,), parse_region(holds) if holds else None))


@pytest.mark.parametrize("threshold", [-0.4, 0.1, 0.3, 0.9])
def test_its_e_value_is_the_ratio_of_likelihoods_averaged_over_effects(threshold):
    values = np.random.default_rng(0).normal(0.4, 1, 12)
    n = len(values)
    t = (values.mean() - threshold) / (values.std(ddof=1) / math.sqrt(n))

    def ratio(effect):
        bet = 2 * stats.norm.pdf(effect, 0, math.sqrt(EFFECTS))
        return bet * stats.nct.pdf(t, n - 1, effect * math.sqrt(n)) / stats.t.pdf(t, n - 1)

    want, _ = integrate.quad(ratio, 0, 4)
    assert fit(values).e_value(threshold, "above") == pytest.approx(want, rel=1e-6)


def test_it_scales_shifts_and_mirrors():
    values = np.random.default_rng(1).normal(0.4, 1, 30)
    found, moved = fit(values), fit(-3 * values + 7)
    assert moved.upper(0.05) == pytest.approx(7 - 3 * found.lower(0.05))
    assert found.lower(0.05) < found.value < found.upper(0.05)
    for tail in (0.01, 0.05, 0.3):
        assert found.p_value(found.lower(tail), "above") == pytest.approx(tail, rel=1e-6)


def test_few_units_that_agree_prove_nothing_and_more_do():
    region = parse_region("> 0")
    first = next(n for n in range(2, 30) if feasibility(STATISTICS["mean_anytime"], region, 0.05, n) == ())
    values = np.linspace(1, 1 + 1e-9, first)
    assert fit(values).lower(0.05) > 0
    assert fit(values[:-1]).lower(0.05) == -math.inf


def test_a_share_that_is_looked_at_again_is_that_of_the_bets():
    values = np.array([0.5] * 20 + [2.0] * 5)
    found = fit(values, "share_anytime", "< 1")
    assert found.value == 0.8
    assert found.lower(0.05) == BoundedFit((values < 1).astype(float), "prompt").lower(0.05)
    assert found.e_value(0.5, "above") == pytest.approx(1 / found.p_value(0.5, "above"))


def _looks(values):
    """Return AnytimeFits after every value from the second on."""
    n = np.arange(1, len(values) + 1)
    means = np.cumsum(values) / n
    squares = np.maximum(np.cumsum(values**2) - n * means**2, 1e-12)
    return [AnytimeFit(m, s, int(k), "prompt") for m, s, k in zip(means[1:], squares[1:], n[1:], strict=True)]


DRAWS = {
    "normal": lambda rng: rng.normal(size=LOOKS),
    "two ends": lambda rng: rng.beta(0.1, 0.1, LOOKS) - 0.5,
    "t with 3 degrees of freedom": lambda rng: rng.standard_t(3, LOOKS),
    "heavy": lambda rng: np.where(rng.random(LOOKS) < 0.12, 50 * rng.choice([-1, 1], LOOKS), rng.normal(size=LOOKS)),
}


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])  # looking again as `n that would decide` advised erred in .088
@pytest.mark.parametrize("kind", DRAWS)
def test_a_mean_looked_at_after_every_value_is_ever_wrong_in_at_most_alpha(kind, alpha):
    rng, runs, wrong = np.random.default_rng(0), 400, np.zeros(2)
    for _ in range(runs):
        looks = _looks(DRAWS[kind](rng))
        wrong += [any(look.e_value(0.0, side) >= 1 / alpha for look in looks) for side in ("above", "below")]
    assert (wrong / runs <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)).all()


@pytest.mark.slow
def test_looking_again_errs_more_often_than_alpha_with_mean_and_not_with_mean_anytime():
    rng, runs, alpha = np.random.default_rng(0), 400, 0.05
    draws = [rng.normal(size=100) for _ in range(runs)]
    wrong = {
        name: np.mean(
            [any(fit(one[:n], name).p_value(0.0, "above") <= alpha for n in (25, 50, 75, 100)) for one in draws]
        )
        for name in ("mean", "mean_anytime")
    }
    most = alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)
    assert wrong["mean_anytime"] <= most < wrong["mean"]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_share_looked_at_after_every_value_is_ever_wrong_in_at_most_alpha(share):
    rng, runs, alpha, wrong = np.random.default_rng(0), 200, 0.05, np.zeros(2)
    for _ in range(runs):
        values = (rng.random(LOOKS) < share).astype(float)
        looks = [BoundedFit(values[:k], "prompt") for k in range(1, LOOKS + 1)]
        wrong += [any(look.e_value(share, side) >= 1 / alpha for look in looks) for side in ("above", "below")]
    assert (wrong / runs <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)).all()


def test_statistics_that_hold_at_every_look_have_e_values():
    for name in STATISTICS:
        if STATISTICS[name].anytime:
            found = fit(np.linspace(0.1, 0.9, 25), name, "< 0.5" if name == "share_anytime" else None)
            assert found.e_value(0.05, "above") > 1
