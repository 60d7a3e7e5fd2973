"""The control on freshly drawn weights holds, fails or is undecided, at the rate of a sign test over its seeds."""

from __future__ import annotations

import numpy as np
import pytest

from refutable.evidence.controls import _of_most, labels_of
from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Control
from refutable.verdicts.verdict import Verdict

WORDS = {"S": Verdict.SUPPORTED, "R": Verdict.REFUTED, "I": Verdict.INCONCLUSIVE, "N": Verdict.NOT_MEASURED}


def judged(letters: str) -> dict[str, Judgement]:
    return {f"seed {seed}": Judgement(WORDS[letter], "> 1", "why") for seed, letter in enumerate(letters)}


@pytest.mark.parametrize(
    ("letters", "alpha", "outcome", "label"),
    [
        ("SSSSS", 0.05, Verdict.SUPPORTED, "holds-at-initialisation"),
        ("RRRRR", 0.05, Verdict.REFUTED, None),
        ("SSSSI", 0.05, Verdict.INCONCLUSIVE, "undecided-at-initialisation"),
        ("SSSSSSSI", 0.05, Verdict.SUPPORTED, "holds-at-initialisation"),
        ("SSSSS", 0.01, Verdict.INCONCLUSIVE, "undecided-at-initialisation"),
        ("S", 0.05, Verdict.INCONCLUSIVE, "undecided-at-initialisation"),
        ("RRR", 0.05, Verdict.INCONCLUSIVE, "undecided-at-initialisation"),
        ("IIIII", 0.05, Verdict.INCONCLUSIVE, "undecided-at-initialisation"),
        ("NNNNN", 0.05, Verdict.NOT_MEASURED, "undecided-at-initialisation"),
    ],
)
def test_outcomes_and_labels(letters: str, alpha: float, outcome: Verdict, label: str | None) -> None:
    verdict, told = _of_most(judged(letters), alpha)
    assert verdict is outcome, told
    found = labels_of({"initialization": Control(verdict, told)}, Verdict.SUPPORTED)
    assert found == (() if label is None else (label,))
    assert labels_of({"initialization": Control(verdict, told)}, Verdict.REFUTED) == ()


@pytest.mark.parametrize("seeds", [5, 8, 12])
def test_a_claim_that_holds_on_half_of_all_draws_is_rarely_said_to_hold(seeds: int) -> None:
    rng = np.random.default_rng(0)
    draws = rng.random((4000, seeds)) < 0.5
    held = [_of_most(judged("".join("S" if one else "R" for one in draw)), 0.05)[0] for draw in draws]
    assert held.count(Verdict.SUPPORTED) / len(held) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(held))
