"""Random effects: a worked example, its limits, and how often its bounds miss."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from t_alone import t_alone

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.power import deciding_n
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict


def fit(*models):
    return STATISTICS["random_effects"].fit(
        Data(tuple(Sample("last_gain", np.asarray(m, float), "prompt") for m in models))
    )


def spread(mean, se, n=4):
    """Return n values with exactly this mean and standard error."""
    x = np.linspace(-1, 1, n)
    return mean + x / x.std(ddof=1) * se * math.sqrt(n)


def test_models_known_equally_well_are_averaged_and_their_own_spread_decides():
    found = t_alone(fit(*(spread(m, 0.01) for m in (0.8, 0.9, 1.3))))
    means = np.array([0.8, 0.9, 1.3])
    assert found.value == pytest.approx(means.mean())
    assert found.error == pytest.approx(means.std(ddof=1) / math.sqrt(3), rel=1e-5)  # Hartung-Knapp is then Student's
    assert found.sd**2 == pytest.approx(means.var(ddof=1) - 0.01**2, rel=1e-6)  # Paule-Mandel
    assert found.upper(0.05) == pytest.approx(found.value + stats.t.isf(0.05, 2) * found.error)
    assert (found.n, found.unit) == (3, "model")


def test_models_that_agree_are_weighted_by_how_surely_each_is_known():
    found = fit(spread(1.0, 0.1), spread(1.02, 0.2))
    assert found.sd == pytest.approx(0.0, abs=1e-6)
    weights = np.array([1 / 0.1**2, 1 / 0.2**2])
    assert found.value == pytest.approx(weights @ [1.0, 1.02] / weights.sum())
    known = 1 / math.sqrt(weights.sum())  # not less: Roever et al. 2015
    meier = 1 + 2 * (4 / 3 * 0.8 * 0.2)  # 1 + 4 sum(w (1 - w) / freedom), w 0.8 and 0.2, freedom 3
    assert found.error == pytest.approx(known * math.sqrt(meier), rel=1e-6)
    assert found.effect_size(0.5) is None or found.effect_size(0.5) > 1e3


def test_a_p_value_is_that_of_the_bound():
    found = t_alone(fit(*(spread(m, 0.05) for m in (0.8, 0.9, 1.3, 1.0))))
    for tail in (0.01, 0.05, 0.3):
        assert found.p_value(found.lower(tail), "above") == pytest.approx(tail)
        assert found.p_value(found.upper(tail), "below") == pytest.approx(tail)


def test_two_orders_of_the_models_say_the_same():
    models = [spread(0.8, 0.1), spread(0.9, 0.02, 9), spread(1.3, 0.2)]
    assert fit(*models).lower(0.05) == pytest.approx(fit(*models[::-1]).lower(0.05))


@pytest.mark.parametrize(
    ("models", "why"),
    [
        ([[1.0, 2.0]], "one model has no spread"),
        ([[1.0, 2.0], [3.0]], "do not vary"),
        ([[1.0, 2.0], [3.0, 3.0]], "do not vary"),
    ],
)
def test_what_shows_no_spread_is_undecidable(models, why):
    with pytest.raises(Undecidable, match=why):
        fit(*models)


@pytest.mark.parametrize("prompts", [3, 25])
@pytest.mark.parametrize("between", [0.0, 0.1, 1.0])
def test_its_bounds_miss_no_more_often_than_they_say(between, prompts):
    """Twelve models whose spreads differ threefold; at 5 %, with three Monte-Carlo standard errors."""
    rng, runs, misses = np.random.default_rng(0), 500, np.zeros(2)
    for _ in range(runs):
        found = fit(*(rng.normal(rng.normal(0, between), sd, prompts) for sd in (0.5, 0.75, 1, 1, 1.25, 1.5) * 2))
        misses += [found.lower(0.05) > 0, found.upper(0.05) < 0]
    assert (misses / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)).all()


def test_two_prompts_a_model_are_enough():
    found = fit([1.0, 1.2], [0.7, 0.8], [1.1, 1.5])
    assert -math.inf < found.lower(0.2) < found.value < found.upper(0.2) < math.inf


def test_an_effect_size_is_in_standard_deviations_between_models():
    found = fit(*(spread(m, 0.001) for m in (0.8, 0.9, 1.3)))
    assert found.effect_size(0.4) == pytest.approx((1.0 - 0.4) / np.std([0.8, 0.9, 1.3], ddof=1), rel=1e-4)
    assert found.effect_size(1.6) == pytest.approx(-found.effect_size(0.4))


@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize(("value", "threshold", "n"), [(1.0, 0.7, 3), (0.9, 1.1, 8), (0.5, 0.5, 5)])
def test_the_power_of_models_known_surely_is_that_of_the_t_test_of_their_means(value, threshold, n, side):
    means = np.array([0.8, 0.9, 1.3])
    found = t_alone(fit(*(spread(m, 1e-4) for m in means)))
    away = (value - threshold) / (means.std(ddof=1) / math.sqrt(n)) * (1 if side == "above" else -1)
    want = stats.nct.sf(stats.t.isf(0.05, n - 1), n - 1, away)
    assert found.power(threshold, side, 0.05, value, n) == pytest.approx(want, rel=1e-4)


def test_the_number_of_models_it_names_decides_in_80_percent():
    means = 0.8 + 0.25 * np.array([-1.2, -0.7, 0, 0.7, 1.2]) / np.std([-1.2, -0.7, 0, 0.7, 1.2], ddof=1)
    region, rng, runs = parse_region("< 1"), np.random.default_rng(0), 400
    n = deciding_n(fit(*(spread(m, 0.02) for m in means)), region, 0.05)
    drawn = ((rng.normal(rng.normal(0.8, 0.25), 0.04, 4) for _ in range(n)) for _ in range(runs))
    rate = np.mean([decide(fit(*models), region, 0.05) is Verdict.SUPPORTED for models in drawn])
    assert rate == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / runs))  # four Monte-Carlo standard errors
