"""The control that shuffles: known truth, invariances, and that its shortcut counts what fitting each would count."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from refutable.claims import MeasuredTest
from refutable.evidence import permuted
from refutable.evidence.controls import labels_of
from refutable.evidence.permuted import SHUFFLES, permuted_control
from refutable.statistics.sample import Sample
from refutable.verdicts.verdict import Verdict

GROUPS = {"one": {"wiring": "parallel"}, "other": {"wiring": "sequential"}}


def pairs(statistic: str = "pearson", predicts: str = "> 0") -> MeasuredTest:
    return MeasuredTest.model_validate(
        {"statistic": statistic, "of": ["last_gain", "output_entropy"], "predicts": predicts}
    )


def samples(x: np.ndarray, y: np.ndarray, categories: int = 0) -> tuple[Sample, Sample]:
    clusters = tuple(f"c{i % categories}" for i in range(len(x))) if categories else ()
    return Sample("last_gain", x, "prompt", clusters), Sample("output_entropy", y, "prompt", clusters)


def made(n: int, slope: float, categories: int = 0, between: float = 0.0, seed: int = 0) -> tuple[Sample, Sample]:
    """Return two metrics of n prompts: one follows the other by `slope` within categories, by `between` across them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = slope * x + rng.normal(size=n)
    level = between * (np.arange(n) % categories) if categories else np.zeros(n)
    return samples(x + level, y + level, categories)


@pytest.mark.parametrize("statistic", ["pearson", "spearman"])
def test_a_real_pairing_is_rare_among_shuffles_and_few_of_them_are_supported(statistic):
    control = permuted_control(pairs(statistic), made(60, 1.0), 0.05)
    assert control.verdict is Verdict.REFUTED
    assert control.share == pytest.approx(0.05, abs=0.025)
    assert control.estimate is not None
    assert control.estimate.p == pytest.approx(1 / (SHUFFLES + 1))  # none of them reaches it
    assert (control.estimate.n, control.estimate.unit) == (SHUFFLES, "shuffle")
    assert control.estimate.low < control.share < control.estimate.high


def test_what_categories_alone_bring_about_holds_when_shuffled_within_them():
    control = permuted_control(pairs(), made(60, 0.0, categories=3, between=2.0), 0.05)
    assert control.parts["all pairs"].verdict is Verdict.REFUTED
    assert control.parts["within category"].verdict is Verdict.SUPPORTED
    assert control.verdict is Verdict.SUPPORTED
    assert control.share == control.parts["within category"].share
    assert control.share > 0.9


def test_a_pairing_within_categories_is_told_from_them():
    control = permuted_control(pairs(), made(90, 1.5, categories=3, between=0.3), 0.05)
    assert control.parts["within category"].verdict is Verdict.REFUTED


def test_a_threshold_that_any_pairing_would_pass_holds_when_shuffled():
    control = permuted_control(pairs(predicts="> -0.8"), made(60, 1.0), 0.05)
    assert control.verdict is Verdict.SUPPORTED
    assert control.share == 1


def test_orders_are_permutations_that_stay_within_their_category():
    clusters = ["b", "a", "b", "c", "a", "a", "b"]
    orders = permuted._orders(7, clusters)
    assert (np.sort(orders, axis=1) == np.arange(7)).all()
    labels = np.array(clusters)
    assert (labels[orders] == labels).all()
    assert len(np.unique(orders, axis=0)) == 36  # 3! 3! 1!: every one of them comes
    np.testing.assert_array_equal(orders, permuted._orders(7, clusters))


def test_one_prompt_a_category_leaves_nothing_to_shuffle_within():
    x, y = made(12, 1.0)
    each = tuple(str(i) for i in range(12))
    control = permuted_control(pairs(), tuple(dataclasses.replace(s, clusters=each) for s in (x, y)), 0.05)
    assert control.parts == {}


def test_models_are_shuffled_between_groups():
    test = MeasuredTest.model_validate(
        {"statistic": "difference_of_groups", "of": "last_gain", "predicts": "< 0", "groups": GROUPS}
    )
    rng = np.random.default_rng(0)
    first, second = (Sample("last_gain", rng.normal(mean, 1, 6), "model") for mean in (0, 4))
    control = permuted_control(test, (first, second), 0.05)
    assert control.verdict is Verdict.REFUTED
    assert control.share == pytest.approx(0.05, abs=0.03)
    assert control.estimate is not None
    assert control.estimate.p < 0.01


@pytest.mark.parametrize("statistic", ["pearson", "spearman"])
def test_a_claims_shuffles_take_less_than_three_seconds(statistic):
    of = made(200, 0.5, categories=5)

    def took():
        started = time.process_time()
        permuted_control(pairs(statistic), of, 0.05)
        return time.process_time() - started

    assert min(took() for _ in range(3)) < 3  # others may be at work on the same processor


def test_a_genuine_correlation_is_not_said_to_hold_when_shuffled():
    labels = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, noise = rng.normal(size=(2, 25))
        of = samples(x, 0.5 * x + np.sqrt(0.75) * noise, 5)
        labels.append(labels_of({"permuted": permuted_control(pairs(), of, 0.05)}, Verdict.SUPPORTED))
    assert sum("holds-when-permuted" in found for found in labels) <= 1
    assert 2 < sum("not-shown-beyond-categories" in found for found in labels) < 12  # the power that 5 of a kind leave


def test_what_categories_alone_bring_about_is_labelled_so_and_not_otherwise():
    of = made(60, 0.0, categories=3, between=2.0)
    assert labels_of({"permuted": permuted_control(pairs(), of, 0.05)}, Verdict.SUPPORTED) == (
        "not-shown-beyond-categories",
    )
    assert labels_of({"permuted": permuted_control(pairs(), of, 0.05)}, Verdict.REFUTED) == ()
    held = permuted_control(pairs(predicts="> -0.8"), made(60, 1.0), 0.05)
    assert labels_of({"permuted": held}, Verdict.SUPPORTED) == ("holds-when-permuted",)
