"""What the seeds of an experiment can never show is said before it is tried, and is so when it is."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refutable.claims.experiment import ExperimentClaim
from refutable.evidence.experiment import judge_experiment
from refutable.verdicts.falsifiability.check_claims import check_feasible
from refutable.verdicts.falsifiability.seeds import infeasible_with_seeds
from refutable.verdicts.verdict import Verdict

DIFFERS = {"of": "gain", "difference": ["a", "b"], "predicts": "< 0"}
WITHIN = {"of": "gain", "difference": ["a", "b"], "predicts": "within [-1, 1]"}


def claim(*contrasts: dict[str, Any], holds: str = "all", alpha: float = 0.05) -> ExperimentClaim:
    test = {"experiment": "runs.csv", "holds": holds, "contrasts": list(contrasts)}
    return ExperimentClaim.model_validate(
        {"id": "a", "statement": "s", "evidence": "causal", "alpha": alpha, "test": test}
    )


def write(folder: Path, seeds: int, effect: float, noise: float = 1e-3) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"{cell},{seed},{(effect if cell == 'a' else 0) + noise * rng.normal()!r}"
        for cell, seed in itertools.product("ab", range(seeds))
    ]
    (folder / "runs.csv").write_text("cell,seed,gain\n" + "\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("asked", "seeds", "labels"),
    [
        (claim(DIFFERS), 4, ("hopeless", "unsupportable: needs 5", "unrefutable: needs 5")),
        (claim(DIFFERS), 5, ()),
        (claim(DIFFERS), 1, ("hopeless", "unsupportable: needs 5", "unrefutable: needs 5")),
        (claim(DIFFERS, alpha=0.01), 6, ("hopeless", "unsupportable: needs 7", "unrefutable: needs 7")),
        (claim(WITHIN), 5, ("unrefutable: needs 6",)),
        (claim(DIFFERS, WITHIN), 5, ("unrefutable: needs 6",)),
        (claim(DIFFERS, WITHIN, holds="any"), 5, ("hopeless", "unsupportable: needs 6", "unrefutable: needs 6")),
    ],
)
def test_seeds_that_can_never_decide_are_told(
    asked: ExperimentClaim, seeds: int, labels: tuple[str, ...], tmp_path: Path
) -> None:
    write(tmp_path, seeds, -0.5)
    found = infeasible_with_seeds(asked, None, tmp_path)
    assert (() if found is None else found.labels) == labels


@pytest.mark.parametrize("seeds", range(2, 9))
@pytest.mark.parametrize("holds", ["all", "any"])
@pytest.mark.parametrize("contrasts", [(DIFFERS,), (WITHIN,), (DIFFERS, WITHIN)])
def test_no_data_reach_what_is_said_to_be_out_of_reach(
    contrasts: tuple[dict[str, Any], ...], holds: str, seeds: int, tmp_path: Path
) -> None:
    asked = claim(*contrasts, holds=holds)
    seen = set()
    for effect in (-50.0, -0.5, 0.5, 50.0):
        write(tmp_path, seeds, effect)
        seen.add(judge_experiment(asked, None, tmp_path).verdict)
    found = infeasible_with_seeds(asked, None, tmp_path)
    words = {label.partition(":")[0] for label in (() if found is None else found.labels)}
    assert (Verdict.SUPPORTED in seen) == ("unsupportable" not in words)
    assert (Verdict.REFUTED in seen) == ("unrefutable" not in words)


def test_check_says_it_of_a_file(tmp_path: Path) -> None:
    write(tmp_path, 3, 0.0)
    (tmp_path / "claims.yaml").write_text(
        "schema: 1\nclaims:\n- {id: few-seeds, statement: It dampens., evidence: causal,"
        ' test: {experiment: runs.csv, contrasts: [{of: gain, difference: [a, b], predicts: "< 0"}]}}\n',
        encoding="utf-8",
    )
    assert next(check_feasible(tmp_path / "claims.yaml")) == (
        "few-seeds: with 3 seeds that all cells have: hopeless, unsupportable: needs 5, unrefutable: needs 5"
    )
