"""Causal claims on made-up experiments whose truth is known."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refutable.claims.experiment import ExperimentClaim
from refutable.evidence.experiment import judge_experiment
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict

SEEDS = 8


def table(
    folder: Path,
    effects: dict[str, float],
    *,
    noise: float = 0.01,
    seed: int = 0,
    start: dict[str, float] | None = None,
) -> None:
    """Write an experiment in which each cell lies `effects` above noise that its seed shares, and some of its own."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 0.3, size=SEEDS)
    with (folder / "runs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["cell", "seed", "when", "gain", "gain_centred"])
        for when, of in (("trained", effects), ("start", start if start is not None else dict.fromkeys(effects, 0.0))):
            for cell, effect in of.items():
                for i in range(SEEDS):
                    value = effect + shared[i] + rng.normal(0, noise)
                    writer.writerow([cell, i, when, value, value + 0.001 * rng.normal()])


def judged(folder: Path, *contrasts: dict[str, Any], holds: str = "all", alpha: float = 0.05) -> Judgement:
    claim = ExperimentClaim.model_validate(
        {
            "id": "a",
            "statement": "s",
            "evidence": "causal",
            "alpha": alpha,
            "test": {
                "experiment": "runs.csv",
                "holds": holds,
                "contrasts": [{"of": "gain", **one} for one in contrasts],
            },
        }
    )
    return judge_experiment(claim, None, folder)


def test_a_planted_difference_is_found_within_seeds(tmp_path: Path) -> None:
    table(tmp_path, {"a": 0.1, "b": 0.0})
    found = judged(tmp_path, {"difference": ["a", "b"], "predicts": "> 0.02"})
    assert found.verdict is Verdict.SUPPORTED
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.1, abs=0.02)  # the noise that seeds share, 0.3, is taken out
    assert (found.estimate.n, found.estimate.unit) == (SEEDS, "seed")
    assert judged(tmp_path, {"difference": ["b", "a"], "predicts": "> 0.02"}).verdict is Verdict.REFUTED


def test_a_null_effect_is_a_result(tmp_path: Path) -> None:
    table(tmp_path, {"a": 0.0, "b": 0.0})
    assert judged(tmp_path, {"difference": ["a", "b"], "predicts": "within [-0.02, 0.02]"}).verdict is Verdict.SUPPORTED


def test_an_effect_that_is_there_before_training_is_labelled(tmp_path: Path) -> None:
    table(tmp_path, {"a": 0.1, "b": 0.0}, start={"a": 0.1, "b": 0.0})
    assert "holds-at-initialisation" in judged(tmp_path, {"difference": ["a", "b"], "predicts": "> 0"}).labels
    table(tmp_path, {"a": 0.1, "b": 0.0}, start={"a": -0.1, "b": 0.0})
    assert "holds-at-initialisation" not in judged(tmp_path, {"difference": ["a", "b"], "predicts": "> 0"}).labels


def test_a_slope_and_an_interaction_are_those_of_least_squares(tmp_path: Path) -> None:
    table(tmp_path, {"a": 0.0, "b": 1.0, "c": 3.0, "d": 9.0}, noise=1e-6)
    slope = judged(tmp_path, {"slope": {"a": 0, "b": 1, "c": 3}, "predicts": "> 0"}).estimate
    crossed = judged(tmp_path, {"interaction": ["d", "c", "b", "a"], "predicts": "> 0"}).estimate
    assert slope is not None and crossed is not None  # noqa: PT018
    assert slope.value == pytest.approx(1.0, abs=1e-4)
    assert crossed.value == pytest.approx(9 - 3 - 1 + 0, abs=1e-4)


def test_all_contrasts_must_hold_or_one_refutes(tmp_path: Path) -> None:
    table(tmp_path, {"a": 0.1, "b": 0.0})
    yes, no = {"difference": ["a", "b"], "predicts": "> 0"}, {"difference": ["a", "b"], "predicts": "< 0"}
    assert judged(tmp_path, yes, yes).verdict is Verdict.SUPPORTED
    assert judged(tmp_path, yes, no).verdict is Verdict.REFUTED
    assert judged(tmp_path, yes, no, holds="any").verdict is Verdict.SUPPORTED
    assert judged(tmp_path, no, no, holds="any").verdict is Verdict.REFUTED


@pytest.mark.parametrize("holds", ["all", "any"])
def test_p_and_verdict_of_several_contrasts_agree(tmp_path: Path, holds: str) -> None:
    for seed in range(12):
        table(tmp_path, {"a": 0.006, "b": 0.0, "c": 0.004}, seed=seed)
        found = judged(
            tmp_path,
            {"difference": ["a", "b"], "predicts": "> 0"},
            {"difference": ["c", "b"], "predicts": "within [-0.02, 0.02]"},
            {"difference": ["a", "c"], "predicts": "< 0.01"},
            holds=holds,
        )
        assert found.estimate is not None
        p, refuted = found.estimate.p, found.estimate.p_refuted
        assert p is not None and refuted is not None  # noqa: PT018
        assert (found.verdict is Verdict.SUPPORTED) == (p <= 0.05)
        assert (found.verdict is Verdict.REFUTED) == (refuted <= 0.05 < p)


def test_where_nothing_differs_no_more_than_alpha_is_supported(tmp_path: Path) -> None:
    """Of 200 experiments without an effect, `any` of four predictions is supported in at most alpha and its error."""
    wrong = 0
    for seed in range(200):
        table(tmp_path, {"a": 0.0, "b": 0.0, "c": 0.0}, seed=1000 + seed)
        ways = [{"difference": [one, "b"], "predicts": sign} for one in ("a", "c") for sign in ("> 0", "< 0")]
        wrong += judged(tmp_path, *ways, holds="any").verdict is Verdict.SUPPORTED
    assert wrong <= 200 * 0.05 + 3 * np.sqrt(200 * 0.05 * 0.95)


def test_a_cell_that_was_not_trained_leaves_the_claim_unmeasured(tmp_path: Path) -> None:
    table(tmp_path, {"a": 0.1, "b": 0.0})
    found = judged(
        tmp_path, {"difference": ["a", "b"], "predicts": "> 0"}, {"difference": ["z", "b"], "predicts": "> 0"}
    )
    assert found.verdict is Verdict.NOT_MEASURED
    refuted = judged(
        tmp_path, {"difference": ["a", "b"], "predicts": "< 0"}, {"difference": ["z", "b"], "predicts": "> 0"}
    )
    assert refuted.verdict is Verdict.REFUTED  # one that fails is enough, whatever the other would be


def test_the_centred_norm_is_a_variation(tmp_path: Path) -> None:
    table(tmp_path, {"a": 0.1, "b": 0.0})
    found = judged(tmp_path, {"difference": ["a", "b"], "predicts": "> 0"})
    assert found.variations["norm centred"].verdict is Verdict.SUPPORTED
    assert "fragile" not in found.labels
