"""What a t statistic could have seen and would need, against statsmodels; what open questions say of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats
from statsmodels.stats.power import TTestPower

from refutable.statistics import STATISTICS, Data
from refutable.statistics.power import deciding_n, outlook, smallest_effect
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.statistics.share_of_prompts import ShareFit
from refutable.statistics.student import TFit


def t_fit(value, sd=0.4, n=25, lost=1):
    return TFit(value, sd / math.sqrt(n), n - lost, sd, n, "prompt")


def seen(d, n, tail):
    """Return statsmodels' power to see an effect of d standard deviations."""
    return float(TTestPower().power(d, n, tail, df=n - 1, alternative="larger"))


def fewest(power):
    return next(n for n in range(2, 2000) if power(n) >= 0.8)


@pytest.mark.parametrize("n", [2, 3, 5, 24, 25, 26, 400])
@pytest.mark.parametrize("d", [-0.5, 0.0, 0.2, 0.8, 2.0])
@pytest.mark.parametrize("tail", [0.01, 0.05, 0.2])
def test_the_power_of_a_t_bound_is_statsmodels(n, d, tail):
    found = t_fit(0.9)
    assert found.power(3.0, "above", tail, 3.0 + 0.4 * d, n) == pytest.approx(seen(d, n, tail), abs=1e-9)
    assert found.power(3.0, "below", tail, 3.0 - 0.4 * d, n) == pytest.approx(seen(d, n, tail), abs=1e-9)


def test_as_few_units_as_leave_no_degree_of_freedom_see_nothing():
    assert t_fit(0.9).power(0.0, "above", 0.05, 100.0, 1) == 0.0
    lines = t_fit(0.9, lost=2)  # a slope's
    assert [lines.power(0.0, "above", 0.05, 100.0, n) for n in (1, 2)] == [0.0, 0.0]
    assert lines.power(0.0, "above", 0.05, 100.0, 3) > 0.99


def test_far_on_the_wrong_side_nothing_is_seen_even_where_the_noncentral_t_is_not_a_number():
    found = t_fit(0.0, sd=1.0, n=2)
    critical = -special.stdtrit(1, 0.001)
    assert math.isnan(special.nctdtr(1, -100, critical))
    assert found.power(0.0, "above", 0.001, -100 / math.sqrt(2), 2) == 0.0


@pytest.mark.parametrize(("side", "sign"), [("above", 1), ("below", -1)])
@pytest.mark.parametrize(("n", "tail"), [(2, 0.05), (5, 0.025), (25, 0.05), (25, 0.01)])
@pytest.mark.parametrize("end", [-50.0, 0.0, 1.0])
def test_the_smallest_effect_of_a_mean_is_statsmodels(side, sign, n, tail, end):
    expected = TTestPower().solve_power(nobs=n, alpha=tail, power=0.8, alternative="larger")
    assert smallest_effect(t_fit(end, 0.4, n), end, side, tail) == pytest.approx(0.4 * expected, rel=1e-4)


@pytest.mark.parametrize(("prediction", "d"), [("< 1", 0.25), ("<= 0.85", 0.125), ("> 0.6", 0.75), (">= 0.95", 0.125)])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_the_n_that_would_decide_a_mean_is_statsmodels(prediction, d, alpha):
    expected = fewest(lambda n: seen(d, n, alpha))
    assert deciding_n(t_fit(0.9), parse_region(prediction), alpha) == expected


@pytest.mark.parametrize(("low", "high"), [(0.8, 1.0), (0.8, 5.0), (-5.0, 1.0), (0.7, 1.05), (0.75, 1.1)])
def test_the_n_that_proves_both_ends_of_a_region_misses_each_with_its_own_share(low, high):
    # two one-sided tests at alpha; P(both succeed) >= P(above the low end) + P(below the high end) - 1 (Bonferroni)
    expected = fewest(lambda n: seen((0.9 - low) / 0.4, n, 0.05) + seen((high - 0.9) / 0.4, n, 0.05) - 1)
    assert deciding_n(t_fit(0.9), parse_region(f"within [{low}, {high}]"), 0.05) == expected


@pytest.mark.parametrize("region", ["within [1, 2]", "within [-3, 0.8]"])
def test_the_n_that_proves_a_value_outside_a_region_holds_its_nearer_end_at_half_alpha(region):
    d = 0.25  # 0.9 is 0.1 below 1 and 0.1 above 0.8
    assert deciding_n(t_fit(0.9), parse_region(region), 0.05) == fewest(lambda n: seen(d, n, 0.025))


@pytest.mark.parametrize("region", ["> 0.9", "< 0.9", "within [0.9, 2]", "within [0, 0.9]"])
def test_a_value_on_an_end_is_decided_by_no_n(region):
    assert deciding_n(t_fit(0.9), parse_region(region), 0.05) is None


def test_a_million_units_are_still_named_and_more_are_not():
    wanted = 2.4865 / math.sqrt(990_000)  # (z_0.95 + z_0.8) / sqrt(n), in standard deviations
    found = t_fit(wanted, 1.0, 15_625)  # doubled six times: 1,000,000
    assert deciding_n(found, parse_region("> 0"), 0.05) == pytest.approx(990_000, rel=1e-3)
    assert deciding_n(t_fit(wanted / 1.01, 1.0, 15_625), parse_region("> 0"), 0.05) is None


def test_80_percent_exactly_are_enough():
    # one unit that holds proves a share above 0.01 at 5 %, and holds with probability 0.8
    assert deciding_n(ShareFit(4, 5, "prompt"), parse_region("> 0.01"), 0.05) == 1


def said(value, region, alpha=0.05):
    return outlook(t_fit(value), parse_region(region), alpha, None)


@pytest.mark.parametrize(
    ("value", "region", "side", "end", "tail"),
    [
        (0.9, "< 1", "below", "1", 0.05),
        (1.1, "< 1", "above", "1", 0.05),
        (1.0, "< 1", "above", "1", 0.05),
        (0.9, "within [0.5, 1]", "above", "1", 0.025),
        (0.6, "within [0.5, 1]", "below", "0.5", 0.025),
        (0.75, "within [0.5, 1]", "above", "1", 0.025),
        (-0.6, "within [-1, -0.5]", "above", "-0.5", 0.025),
        (0.3, "within [0.5, 1]", "below", "0.5", 0.025),
        (1.7, "within [0.5, 1]", "above", "1", 0.025),
    ],
)
def test_an_open_question_names_the_smallest_effect_beyond_the_nearer_end(value, region, side, end, tail):
    effect = 0.4 * TTestPower().solve_power(nobs=25, alpha=tail, power=0.8, alternative="larger")
    assert said(value, region)["smallest effect"] == f"{effect:.3g} {side} {end}, at 80 % power with n = 25"


@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_an_open_question_names_the_n_that_would_decide(alpha):
    n = fewest(lambda n: seen(0.25, n, alpha))
    told = said(0.9, "< 1", alpha)["n that would decide"]
    fewest_n, most_n = (int(x) for x in told.split(" prompts")[0].split(" to "))
    assert fewest_n < n < most_n
    assert told.endswith(f"prompts; {n} were 0.9 the true value (80 % power; looking again is a second look)")
    told = said(1.0, "< 1")["n that would decide"]
    assert "to more than 1000000 prompts (80 % power" in told


def test_a_statistic_without_power_says_why():
    assert outlook(t_fit(1.0), parse_region("< 1"), 0.05, "it is so") == {"power": "cannot be said: it is so"}


@pytest.mark.parametrize(("n", "end"), [(25, 0.5), (60, 0.8), (60, 0.2)])
def test_the_smallest_effect_of_a_share_solves_its_binomial(n, end):
    least = next(k for k in range(n + 1) if stats.binomtest(k, n, end, "greater").pvalue <= 0.05)
    effect = smallest_effect(ShareFit(n // 2, n, "prompt"), end, "above", 0.05)
    assert stats.binom.sf(least - 1, n, end + effect) == pytest.approx(0.8, abs=1e-6)


def test_a_mean_takes_its_power_from_its_own_spread():
    x = np.random.default_rng(0).normal(1, 0.3, 12)
    found = STATISTICS["mean"].fit(Data((Sample("last_gain", x, "prompt"),)))
    assert found.power(1.0, "above", 0.05, 1.2, 30) == pytest.approx(seen(0.2 / np.std(x, ddof=1), 30, 0.05), abs=1e-9)
