"""Pearson's and Spearman's correlations, against scipy and their invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from t_alone import t_alone

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.correlation import ranks
from refutable.statistics.power import deciding_n
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

BOTH = ["pearson", "spearman"]
pairs = st.integers(4, 20).flatmap(
    lambda n: st.tuples(*[arrays(np.float64, n, elements=st.integers(-50, 50).map(float))] * 2)
)


def fit(name, x, y):
    samples = [Sample(of, np.asarray(v, dtype=float), "prompt") for of, v in (("output_entropy", x), ("last_gain", y))]
    return STATISTICS[name].fit(Data(tuple(samples)))


@given(pairs)
def test_the_coefficients_are_scipys(pair):
    x, y = pair
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    assert fit("pearson", x, y).value == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert fit("spearman", x, y).value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_pearsons_bounds_are_fishers_less_hotellings_bias():
    rng = np.random.default_rng(0)
    x = rng.normal(size=25)
    found = t_alone(fit("pearson", x, x + rng.normal(size=25)))
    bias = found.value / 48  # r / (2 (n - 1))
    z = math.atanh(found.value) - bias
    assert found.lower(0.05) == pytest.approx(
        math.tanh(z - 1.6449 / math.sqrt(22)), abs=1e-4
    )  # z(0.95) = 1.6449, n - 3
    assert found.upper(0.05) == pytest.approx(math.tanh(z + 1.6449 / math.sqrt(22)), abs=1e-4)
    assert found.p_value(found.lower(0.05), "above") == pytest.approx(0.05)
    assert found.p_value(found.upper(0.05), "below") == pytest.approx(0.05)


def test_spearmans_variance_is_bonett_and_wrights():
    found = fit("spearman", [1, 2, 3, 4, 5, 6, 7], [2, 1, 4, 3, 6, 5, 7])
    assert found.value == pytest.approx(1 - 6 * 6 / (7 * 48))  # 1 - 6 sum(d^2) / (n (n^2 - 1)), six differences of 1
    assert found.error == pytest.approx(math.sqrt((1 + found.value**2 / 2) / 4))
    assert found.upper(0.05) == pytest.approx(math.tanh(math.atanh(found.value) + 1.644854 * found.error), abs=1e-6)


@pytest.mark.parametrize("name", BOTH)
@given(pair=pairs)
def test_a_correlation_is_symmetric_and_blind_to_shift_scale_and_order(name, pair):
    x, y = pair
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    found = fit(name, x, y)
    for other in (fit(name, y, x), fit(name, 3 * x + 1, y / 4), fit(name, x[::-1], y[::-1])):
        assert other.lower(0.05) == pytest.approx(found.lower(0.05), abs=1e-9)
    turned = fit(name, -x, y)
    assert turned.value == pytest.approx(-found.value, abs=1e-12)
    assert turned.upper(0.05) == pytest.approx(-found.lower(0.05), abs=1e-9)


@given(pairs)
def test_ranks_are_blind_to_any_increasing_function(pair):
    x, y = pair
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    assert fit("spearman", np.exp(x / 20), y**3).value == pytest.approx(fit("spearman", x, y).value, abs=1e-12)


@pytest.mark.parametrize("name", BOTH)
@given(pair=pairs)
def test_bounds_stay_within_minus_1_and_1_around_the_value(name, pair):
    x, y = pair
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    found = fit(name, x, y)
    assert -1 <= found.lower(0.05) <= found.value + 1e-12
    assert found.value - 1e-12 <= found.upper(0.05) <= 1


@pytest.mark.parametrize("sign", [1, -1])
def test_few_prompts_in_perfect_order_prove_little(sign):
    found = fit("spearman", [1, 2, 3, 4], [sign * v for v in (1, 2, 3, 4)])
    assert found.value == sign
    # independent pairs are in one of the two perfect orders in 2 / 4! = 8 % of runs
    assert decide(found, parse_region("> 0" if sign > 0 else "< 0"), 0.05) is Verdict.INCONCLUSIVE


def test_many_prompts_in_perfect_order_prove_much():
    found = fit("spearman", range(25), np.exp(np.arange(25)))
    assert found.lower(0.05) > 0.99


def test_a_line_is_a_correlation_of_1_and_crashes_nothing():
    found = fit("pearson", range(10), range(10))
    assert found.value == pytest.approx(1)
    assert decide(found, parse_region("> 0.9"), 0.05) is Verdict.SUPPORTED
    assert found.p_value(1.0, "above") <= 1.0


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_fewer_than_four_pairs_are_undecidable(name, n):
    with pytest.raises(Undecidable, match=f"needs at least 4 prompts, here {n}"):
        fit(name, range(n), range(n))


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("constant", [[0.1] * 25, [0.0] * 25, [0.3] * 24 + [np.nextafter(0.3, 1)]])
def test_nothing_correlates_with_a_constant(name, constant):
    with pytest.raises(Undecidable, match=r"every last_gain is .*: nothing can correlate with a constant"):
        fit(name, range(25), constant)


@pytest.mark.parametrize("name", BOTH)
def test_samples_of_different_length_do_not_pair(name):
    with pytest.raises(Undecidable, match="output_entropy has 5 values and last_gain 6: they do not pair"):
        fit(name, range(5), range(6))


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_never_reaches_a_verdict(name, bad):
    with pytest.raises(Undecidable, match="1 of 5 values of last_gain are not finite"):
        fit(name, range(5), [1, 2, bad, 4, 5])


def test_ties_are_ranked_by_their_mean():
    # ranks of x: 1.5 1.5 3 4, of y: 1 2 3 4; their Pearson correlation is 4.5 / sqrt(4.5 * 5)
    assert fit("spearman", [1, 1, 2, 3], [1, 2, 3, 4]).value == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_cohens_q_is_the_difference_of_fishers_z():
    found = fit("pearson", [1, 2, 3, 4, 5], [2, 1, 4, 3, 5])
    assert found.value == pytest.approx(0.8)
    assert found.effect_size(0.5) == pytest.approx(math.atanh(0.8) - math.atanh(0.5))


# Power, and what n units could show


@pytest.mark.parametrize(("value", "threshold"), [(0.5, 0.2), (0.5, -0.2), (0.1, 0.3), (-0.6, -0.8)])
def test_the_power_of_pearson_is_that_of_fishers_z(value, threshold):
    found = fit("pearson", [1, 2, 3, 4, 5, 6, 7], [2, 1, 4, 3, 6, 7, 5])
    z = (math.atanh(value) - math.atanh(threshold)) * math.sqrt(40 - 3)
    assert found.power(threshold, "above", 0.05, value, 40) == pytest.approx(stats.norm.sf(1.6448536 - z), abs=1e-7)
    assert found.power(threshold, "below", 0.05, value, 40) == pytest.approx(stats.norm.sf(1.6448536 + z), abs=1e-7)


def test_a_correlation_of_0_3_takes_68_units_as_textbooks_say():
    found = fit("pearson", [1, 2, 3, 4, 5], [2, 1, 4, 3, 5])
    power = [found.power(0.0, "above", 0.05, 0.3, n) for n in (67, 68)]  # ((1.645 + 0.842) / atanh(0.3))^2 + 3 = 67.5
    assert power[0] < 0.8 <= power[1]


@pytest.mark.parametrize("name", BOTH)
def test_three_units_and_what_no_correlation_can_be_have_no_power(name):
    found = fit(name, [1, 2, 3, 4, 5], [2, 1, 4, 3, 5])
    assert [found.power(0.0, side, 0.05, value, 3) for side, value in (("above", 0.9), ("below", -0.9))] == [0.0, 0.0]
    assert [found.power(0.0, side, 0.05, value, 30) for side, value in (("above", 1.1), ("below", -1.1))] == [0.0, 0.0]
    assert found.power(0.0, "above", 0.05, 0.9, 4) > 0.05
    assert [found.power(0.0, side, 0.05, value, 30) for side, value in (("above", 1), ("below", -1))] == [1.0, 1.0]
    assert (found.power(1.0, "above", 0.5, 1.0, 30), found.power(-1.0, "below", 0.5, -1.0, 30)) == (0.0, 0.0)


@pytest.mark.parametrize(("prediction", "n"), [("> 0", 4), ("> 0.9", 6)])
def test_the_n_that_an_open_perfect_order_names_decides(prediction, n):
    region = parse_region(prediction)
    found = fit("spearman", range(n), range(n))
    assert decide(found, region, 0.05) is Verdict.INCONCLUSIVE
    first = next(m for m in range(n, 99) if decide(fit("spearman", range(m), range(m)), region, 0.05).decided)
    assert deciding_n(found, region, 0.05) == first  # a perfect order comes out in every run


def test_four_units_in_order_are_within_reach_of_what_they_can_show():
    spearman = STATISTICS["spearman"]
    low = math.tanh(math.atanh(0.8) - 1.644854 * math.sqrt(1.32))  # next to perfect: 1 - 12 / 60; -0.659
    assert fit("spearman", range(4), range(4)).lower(0.05) == pytest.approx(low, abs=1e-6)
    assert "unsupportable" not in " ".join(feasibility(spearman, parse_region("> -0.66"), 0.05, 4))
    assert "unsupportable: needs 5" in feasibility(spearman, parse_region("> -0.65"), 0.05, 4)


@given(st.lists(st.integers(-3, 3) | st.floats(-1e6, 1e6), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_ranks_are_those_of_scipy(values):
    assert ranks(np.array(values, dtype=float)).tolist() == stats.rankdata(values).tolist()
