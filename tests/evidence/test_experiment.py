"""Causal claims on made-up experiments whose truth is known."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from refutable.claims.experiment import Contrast, ExperimentClaim, ExperimentTest
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


def without(folder: Path, *rows: str) -> None:
    """Leave the rows that begin so out of an experiment."""
    file = folder / "runs.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith(rows)))


def test_a_run_that_was_begun_and_has_no_outcome_is_told(tmp_path: Path) -> None:
    table(tmp_path, {"a": 0.1, "b": 0.0, "c": 0.0})
    more = {"difference": ["a", "b"], "predicts": "> 0"}
    assert not any("runs-missing" in label for label in judged(tmp_path, more).labels)
    without(tmp_path, "b,6,trained", "b,7,trained")
    found = judged(tmp_path, more)
    assert found.verdict is Verdict.SUPPORTED
    assert "runs-missing (b seed 6, b seed 7)" in found.labels
    assert found.details["left out of gain, a less b"] == "2 seeds (6, 7) that b lacks"
    both = judged(tmp_path, more, {"difference": ["a", "c"], "predicts": "> 0"})
    assert "runs-missing (b seed 6, b seed 7)" in both.labels
    assert both.details["left out of gain, a less b"] == "2 seeds (6, 7) that b lacks"
    assert not any("runs-missing" in label for label in judged(tmp_path, {**more, "difference": ["a", "c"]}).labels)


def test_a_hole_among_the_seeds_of_a_cell_is_told_and_fewer_seeds_by_design_are_only_left_out(tmp_path: Path) -> None:
    contrast = {"difference": ["a", "b"], "predicts": "> 0"}
    table(tmp_path, {"a": 0.1, "b": 0.0})
    without(tmp_path, "b,2,")
    assert "runs-missing (b seed 2)" in judged(tmp_path, contrast).labels
    table(tmp_path, {"a": 0.1, "b": 0.0})
    without(tmp_path, "b,6,", "b,7,")
    found = judged(tmp_path, contrast)
    assert not any("runs-missing" in label for label in found.labels)
    assert found.details["left out of gain, a less b"] == "2 seeds (6, 7) that b lacks"


def test_a_margin_that_no_two_runs_could_fall_outside_is_told(tmp_path: Path) -> None:
    table(tmp_path, {"a": 0.1, "b": 0.0})
    label = "margin-beyond-all-runs"
    for wide in ("within [-1000, 1000]", "> -50", "< 50"):
        assert label in judged(tmp_path, {"difference": ["a", "b"], "predicts": wide}).labels
    for narrow in ("within [-0.2, 0.2]", "> 0", "> -0.05"):
        assert label not in judged(tmp_path, {"difference": ["a", "b"], "predicts": narrow}).labels
    assert label not in judged(tmp_path, {"cell": "a", "predicts": "> -50"}).labels  # of no difference


ABOVE = {"of": "gain", "difference": ["a", "b"], "predicts": "> 0"}


@pytest.mark.parametrize(
    ("other", "holds", "told"),
    [
        ({"difference": ["a", "b"], "predicts": "<= 0"}, "any", "every number is > 0 or <= 0"),
        ({"difference": ["a", "b"], "predicts": "< 1"}, "any", "no data could refute it"),
        ({"difference": ["b", "a"], "predicts": ">= 0"}, "any", "no data could refute it"),  # the same turned round
        ({"weights": {"a": -2, "b": 2}, "predicts": "> -4"}, "any", "no data could refute it"),
        ({"difference": ["a", "b"], "predicts": "< 0"}, "any", ""),  # that they differ can be false
        ({"difference": ["a", "b"], "predicts": "<= 0"}, "all", ""),
        ({"difference": ["a", "c"], "predicts": "<= 0"}, "any", ""),
        ({"of": "loss", "difference": ["a", "b"], "predicts": "<= 0"}, "any", ""),
    ],
)
def test_two_predictions_that_leave_no_number_out_are_refused(other: dict[str, Any], holds: str, told: str) -> None:
    test = {"experiment": "runs.csv", "holds": holds, "contrasts": [ABOVE, {"of": "gain", **other}]}
    if not told:
        ExperimentTest.model_validate(test)
        return
    with pytest.raises(ValidationError, match=told):
        ExperimentTest.model_validate(test)


def test_a_weight_of_zero_is_refused() -> None:
    with pytest.raises(ValidationError, match="the weight of a is 0"):
        Contrast.model_validate({"of": "gain", "weights": {"a": 0}, "predicts": "within [-1, 1]"})
