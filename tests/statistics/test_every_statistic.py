"""What every statistic is held to, also one that is added: few units, none, ties, constants, what is not finite."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.calibration.scenarios import SCENARIOS
from refutable.errors import Undecidable
from refutable.statistics import SKEW, STATISTICS, Data
from refutable.statistics.assumptions import Assumption, Shape
from refutable.statistics.check_assumptions import check
from refutable.statistics.power import Powered
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import decide, judge
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

NAMES = list(STATISTICS)
CATEGORIES = ("a", "b", "c", "d", "e")
REGIONS = ["< 0.45", ">= 0.45", "> 0.9", "<= 0.1", "within [0.3, 0.6]"]
TIED = [f"{sign} {x}" for sign in ("<", "<=", ">", ">=") for x in (0, 0.5, 1)]
TIED += ["within [0, 0.5]", "within [0.5, 1]", "within [0.5, 0.5]", "within [0, 1]"]
UNITS_ARE_CATEGORIES = ("clustered_pearson", "clustered_spearman", "clustered_trimmed_mean")
bounds = {"< 0.45": 0.45, "> 0.9": 0.9}


def sample(values, categories=0):
    """Return values in so many categories; by default in as many, at most five, as have two of them each."""
    values = np.asarray(values, dtype=float)
    categories = categories or max(1, min(5, len(values) // 2))
    clusters = tuple(sorted(CATEGORIES[i % categories] for i in range(len(values))))
    return Sample("drawn", values, "prompt", clusters)


def data_of(name, n, draw):
    """Return data of n units for a statistic, whatever it takes; `draw(shape)` gives values."""
    of = STATISTICS[name].takes
    holds = parse_region("< 0.5") if of.counts == "always" else None
    if of.each_layer:
        return Data((sample(draw((n, 4))),), holds)
    if of.pools:
        return Data(tuple(sample(draw((6,))) for _ in range(n)), holds)
    if of.parts:
        return Data((sample(draw((n,))), sample(draw((n,)))), holds)
    if of.over_models:
        return Data(tuple(sample(draw((n,))) for _ in range(4)), holds)
    if of.compares is not None:
        return Data((sample(draw((n // 2,))), sample(draw((n - n // 2,)))), holds)
    categories = 5 if name in UNITS_ARE_CATEGORIES else 0
    return Data(tuple(sample(draw((n,)), categories) for _ in range(of.variables)), holds)


def uniform(seed=0):
    rng = np.random.default_rng(seed)
    return lambda shape: rng.uniform(0.05, 0.95, shape)


def tied(seed, mostly, share):
    """Return what draws this share of its values, about, from one number, and the others from 0, 1 / 2 and 1."""
    rng = np.random.default_rng(seed)
    return lambda shape: np.where(rng.random(shape) < share, mostly, rng.integers(0, 3, shape) / 2)


def verdicts(name, data, alpha=0.05):
    """Return the verdicts on every region; an empty set where the data are refused with a reason."""
    try:
        fit = STATISTICS[name].fit(data)
    except Undecidable:
        return set()
    judged = [judge(fit, parse_region(region), alpha, STATISTICS[name], ("drawn",)) for region in REGIONS]
    for one in judged:
        assert not any(math.isnan(x) for x in (one.estimate.value, one.estimate.low, one.estimate.high, one.estimate.p))
        assert one.estimate.low <= one.estimate.high
    return {one.verdict for one in judged}


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is_and_assumes_and_is_calibrated(name):
    chosen = STATISTICS[name]
    assert chosen.doc
    assert chosen.assumes
    assert name in {scenario.statistic for scenario in SCENARIOS}, "add it to benchmarks/calibration/scenarios.py"


@pytest.mark.parametrize("name", NAMES)
def test_it_promises_its_error_rates_from_the_size_that_it_says_and_on_no_shape_that_it_excludes(name):
    chosen = STATISTICS[name]
    inside = next(shape for shape in Shape if not shape.breaks & frozenset(chosen.assumes))
    assert chosen.keeps(inside, chosen.calibrated_from)
    assert not chosen.keeps(inside, chosen.calibrated_from - 1)
    assert not chosen.keeps(inside, chosen.calibrated_from, chosen.least_alpha / 2) or chosen.least_alpha == 0
    seen = SKEW if chosen.skewed_from is not None else frozenset()
    assert not any(chosen.keeps(shape, 10**6) for shape in Shape if shape.breaks & frozenset(chosen.assumes) - seen)
    if seen:
        assert chosen.keeps(Shape.SKEWED, chosen.skewed_from)
        assert not chosen.keeps(Shape.SKEWED, chosen.skewed_from, chosen.skewed_alpha / 2) or chosen.skewed_alpha == 0
        assert not chosen.keeps(Shape.SKEWED, chosen.skewed_from - 1)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_refused_with_a_reason(name):
    with pytest.raises(Undecidable, match=r"\w+ \w+"):
        STATISTICS[name].fit(data_of(name, 0, np.zeros))


@pytest.mark.parametrize("name", NAMES)
def test_one_unit_decides_nothing(name):
    for seed in range(5):
        assert not verdicts(name, data_of(name, 1, uniform(seed))) & {Verdict.SUPPORTED, Verdict.REFUTED}


@pytest.mark.parametrize("name", NAMES)
def test_it_needs_as_many_units_as_it_says(name):
    least = STATISTICS[name].least
    assert verdicts(name, data_of(name, max(least, 5), uniform()))
    if least > 1:
        with pytest.raises(Undecidable):
            STATISTICS[name].fit(data_of(name, least - 1, uniform()))
        region = parse_region("within [0.2, 0.3]")
        assert feasibility(STATISTICS[name], region, 0.05, least - 1)[0] == "hopeless"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_constant_data_bring_an_honest_verdict_or_a_reason(name, value):
    for n in (3, 5, 25):
        verdicts(name, data_of(name, n, lambda shape: np.full(shape, value)))
    assert Verdict.SUPPORTED not in verdicts(name, data_of(name, 2, lambda shape: np.full(shape, value)))


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000), n=st.sampled_from([2, 3, 4, 5, 10, 25]))
@settings(max_examples=12)
def test_ties_are_data_like_any_other(name, n, seed):
    rng = np.random.default_rng(seed)
    verdicts(name, data_of(name, n, lambda shape: rng.integers(0, 3, shape) / 2))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_reaches_a_fit(name, bad):
    def draw(shape):
        values = uniform()(shape)
        values.flat[0] = bad
        return values

    with pytest.raises(Undecidable, match="not finite"):
        data_of(name, 10, draw)


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000), n=st.sampled_from([5, 8, 25]))
@settings(max_examples=8)
def test_the_p_value_and_the_bound_agree(name, seed, n):
    fit = STATISTICS[name].fit(data_of(name, max(n, STATISTICS[name].least), uniform(seed)))
    for threshold in (0.1234, 0.4567, fit.value - 0.0321, fit.value + 0.0321):
        for alpha in (0.01, 0.05, 0.2):
            assert (fit.p_value(threshold, "above") <= alpha) == (fit.lower(alpha) > threshold)
            assert (fit.p_value(threshold, "below") <= alpha) == (fit.upper(alpha) < threshold)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mostly", [0.0, 0.5, 1.0])
def test_the_p_values_agree_with_the_verdict_also_where_values_lie_on_the_threshold(name, mostly):
    for seed, n in itertools.product(range(2), (5, 12)):
        try:
            fit = STATISTICS[name].fit(data_of(name, n, tied(seed, mostly, 0.8 + 0.2 * seed)))
        except Undecidable:
            continue
        for region in map(parse_region, TIED):
            judged = judge(fit, region, 0.05, STATISTICS[name], ("drawn",))
            assert (judged.verdict is Verdict.SUPPORTED) == (judged.estimate.p <= 0.05), (region, fit)
            if judged.verdict is not Verdict.SUPPORTED:
                assert (judged.verdict is Verdict.REFUTED) == (judged.estimate.p_refuted <= 0.05), (region, fit)


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000), n=st.sampled_from([5, 8, 25]))
@settings(max_examples=8)
def test_bounds_widen_as_less_error_is_allowed(name, seed, n):
    fit = STATISTICS[name].fit(data_of(name, max(n, STATISTICS[name].least), uniform(seed)))
    lows, highs = ([f(tail) for tail in (0.001, 0.01, 0.05, 0.2)] for f in (fit.lower, fit.upper))
    assert lows == sorted(lows)
    assert highs == sorted(highs, reverse=True)
    assert lows[-1] <= highs[-1]


@pytest.mark.parametrize("name", NAMES)
@given(
    seed=st.integers(0, 10_000), n=st.sampled_from([1, 2, 3, 4, 5, 6, 8, 12, 25, 40]), region=st.sampled_from(REGIONS)
)
@settings(max_examples=8)
def test_no_data_bring_what_is_called_out_of_reach(name, seed, n, region):
    chosen, size = STATISTICS[name], n
    fewer = 4 if chosen.takes.over_models else size
    labels = " ".join(feasibility(chosen, parse_region(region), 0.05, fewer))
    rng = np.random.default_rng(seed)
    middle = rng.uniform(0, 1)
    try:
        fit = chosen.fit(data_of(name, size, lambda shape: np.clip(middle + rng.normal(0, 0.01, shape), 0, 1)))
    except Undecidable:
        return
    verdict = decide(fit, parse_region(region), 0.05)
    assert not ("unsupportable" in labels and verdict is Verdict.SUPPORTED)
    assert not ("unrefutable" in labels and verdict is Verdict.REFUTED)


def _tied(shape):
    return np.random.default_rng(0).integers(0, 2, shape) / 2


def _constant(shape):
    return np.full(shape, 0.5)


def _on_one_line(shape):
    return np.linspace(0.1, 0.9, math.prod(shape)).reshape(shape)


@pytest.mark.parametrize("name", [name for name in NAMES if STATISTICS[name].extremes is None])
@pytest.mark.parametrize("draw", [uniform(), _tied, _constant, _on_one_line])
def test_bounds_that_lie_apart_never_lie_in_one_point(name, draw):
    try:
        fit = STATISTICS[name].fit(data_of(name, 24, draw))
    except Undecidable:
        return
    point = parse_region(f"within [{fit.value!r}, {fit.value!r}]")
    assert decide(fit, point, 0.05) is not Verdict.SUPPORTED
    assert feasibility(STATISTICS[name], point, 0.05, 24) == ("unsupportable: no n would do",)


@pytest.mark.parametrize("name", NAMES)
def test_an_open_question_says_what_would_settle_it_or_why_it_cannot(name):
    fit = STATISTICS[name].fit(data_of(name, 25, uniform(3)))
    region = parse_region(f"> {fit.value - 1e-4 if fit.value < 1 else 0.999:.6f}")
    judged = judge(fit, region, 0.05, STATISTICS[name], ("drawn",))
    if judged.verdict is not Verdict.INCONCLUSIVE:
        pytest.skip("these data decide")
    if STATISTICS[name].powerless is None:
        assert isinstance(fit, Powered)
        assert "80 % power" in judged.details["smallest effect"]
        assert "80 % power" in judged.details["n that would decide"]
    else:
        assert judged.details["power"] == f"cannot be said: {STATISTICS[name].powerless}"


@pytest.mark.parametrize("name", [name for name in NAMES if STATISTICS[name].powerless is None])
@given(seed=st.integers(0, 1000), distance=st.floats(0.01, 0.4))
@settings(max_examples=8)
def test_power_is_a_probability_that_grows_with_n_and_with_the_effect(name, seed, distance):
    fit = STATISTICS[name].fit(data_of(name, 25, uniform(seed)))
    powers = [fit.power(0.3, "above", 0.05, 0.3 + distance, n) for n in (25, 100, 1000)]
    assert all(0 <= power <= 1 for power in powers)
    assert powers[-1] >= powers[0] - 0.03  # a share's and a median's rise in steps
    effects = [fit.power(0.3, "above", 0.05, 0.3 + d, 25) for d in (distance, 1.5 * distance)]
    assert effects[1] >= effects[0]
    mirror = fit.power(0.3, "below", 0.05, 0.3 - distance, 25)
    assert 0 <= mirror <= 1


def looks_at_prompts(of):
    """Whether it relies on the independence of units that have a category, in data as `data_of` draws them."""
    return Assumption.INDEPENDENT in of.assumes and not (of.takes.pools or of.takes.compares or of.takes.over_models)


@pytest.mark.parametrize("name", [name for name in NAMES if looks_at_prompts(STATISTICS[name])])
def test_prompts_that_go_by_category_are_named_beside_the_verdict(name):
    rng = np.random.default_rng(1)

    def by_category(shape):
        return np.clip(np.repeat(rng.permutation(5) / 6 + 0.1, 5) + rng.normal(0, 0.01, shape[::-1]), 0, 1).T

    seen = check(STATISTICS[name], data_of(name, 25, by_category))
    label = seen.labels[0]
    assert label.startswith("clustered by category (ICC 0.9") or label.startswith("clustered by category (ICC 1")
    free = check(STATISTICS[name], data_of(name, 25, uniform(4)))
    assert not [label for label in free.labels if "clustered" in label]
    assert "units are independent" in free.details["assumes"]
