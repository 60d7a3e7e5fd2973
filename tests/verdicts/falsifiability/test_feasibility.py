"""What claims can never come to: each label is held against the statistic itself, on data as kind as there can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refutable._util.strict_yaml import parse_yaml
from refutable.claims.file import claims_from
from refutable.models.registry import load_registry
from refutable.statistics import STATISTICS, Data
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.check_claims import check_feasible
from refutable.verdicts.falsifiability.feasibility import infeasible
from refutable.verdicts.judge import decide

REGISTRY = load_registry()


def claim_of(test: str, more: str = "", evidence: str = "measured", models: str = "[smollm2]") -> Any:
    key = f"    models: {models}\n" if models else ""
    text = (
        f"schema: 1\nclaims:\n  - id: c\n    statement: s\n    evidence: {evidence}\n{key}{more}    test: {{{test}}}\n"
    )
    (claim,) = claims_from(parse_yaml(text, "claims.yaml"))
    return claim


def labels(claim: Any, prompts: int = 25) -> tuple[str, ...]:
    found = infeasible(claim, prompts, REGISTRY)
    return found.labels if found else ()


SHARE = 'statistic: share_of_prompts, of: last_gain, holds: "< 1", predicts: ">= 0.97"'
PEARSON = 'statistic: pearson, of: [last_gain, output_entropy], predicts: "> 0"'
GROUPS = (
    "statistic: difference_of_groups, of: last_gain, predicts: '< 0',"
    " groups: {a: [gptj, gpt2], b: [smollm2, pythia-70m]}"
)


@pytest.mark.parametrize(
    ("test", "prompts", "expected"),
    [
        (SHARE, 25, ("unsupportable: needs 99",)),  # 0.97 ** 99 < 0.05 <= 0.97 ** 98
        (SHARE, 99, ()),
        (SHARE.replace(">= 0.97", "<= 0.03"), 25, ("unsupportable: needs 99",)),
        (SHARE.replace(">= 0.97", "within [0.49, 0.51]"), 3, ("hopeless",)),
        ('statistic: mean, of: last_gain, predicts: "< 1"', 25, ()),
        ('statistic: ratio_of_means, of: last_gain, predicts: "> 1"', 25, ()),
        ('statistic: mean, of: last_gain, predicts: "< 1"', 1, ("hopeless", "unsupportable: needs 2")),
        (
            'statistic: pearson, of: [last_gain, output_entropy], predicts: "> 0"',
            3,
            ("hopeless", "unsupportable: needs 4"),
        ),
        ('statistic: mean, of: last_gain, predicts: "within [1, 1]"', 25, ("unsupportable: no n would do",)),
        ('statistic: mean, of: last_gain, predicts: "within [1, 1.0001]"', 25, ()),
        ('statistic: mean, of: top_probability, predicts: "> 1.5"', 25, ("unsupportable: no n would do",)),
        ('statistic: mean, of: top_probability, predicts: "< 1.5"', 25, ("vacuous: any data would do",)),
    ],
)
def test_what_n_prompts_can_never_bring(test: str, prompts: int, expected: tuple[str, ...]) -> None:
    assert labels(claim_of(test), prompts)[: len(expected)] == expected


def test_a_number_of_models_is_no_share() -> None:
    test = 'statistic: models_passing, of: last_gain, holds: "< 1", predicts: ">= 5"'
    assert labels(claim_of(test, models='"pythia-*[mb]"')) == ()


def test_a_boundary_that_three_models_cannot_show_is_hopeless() -> None:
    test = 'statistic: boundary, of: last_gain, fact: d_head, holds: "> 1", predicts: "> 0"'
    assert labels(claim_of(test, models="[gpt2, smollm2, gptj]"))[0] == "hopeless"
    assert "unsupportable" in labels(claim_of(test, models='"pythia-*[mb]"'))[0]


def test_the_n_that_is_said_is_the_least_that_would_do() -> None:
    claim = claim_of(SHARE)
    verdicts = {}
    for n in (98, 99):
        fit = STATISTICS["share_of_prompts"].fit(
            Data((Sample("last_gain", np.full(n, 0.5), "prompt"),), claim.test.holds_region)
        )
        verdicts[n] = decide(fit, claim.test.region, claim.alpha).value
    assert verdicts == {98: "INCONCLUSIVE", 99: "SUPPORTED"}


def test_a_verdict_that_one_of_several_models_decides_alone_needs_more() -> None:
    (alone,) = labels(claim_of(SHARE))
    three = {
        word: labels(claim_of(SHARE, f"    for: {word}\n", models="[gptj, gpt2, smollm2]"))[0]
        for word in ("all", "majority", "any")
    }
    needs = [int(label.rpartition(" ")[2]) for label in (alone, *three.values())]
    assert needs == [99, 99, 122, 135]  # 0.97 ** 135 < 0.05 / 3 <= 0.97 ** 134


def test_drawn_weights_have_seeds_for_units() -> None:
    claim = claim_of(SHARE, "    seeds: [0, 1, 2]\n", "initialization")
    found = infeasible(claim, 500, REGISTRY)
    assert found is not None
    assert (found.units, found.labels) == ("these 3 seeds", ("unsupportable: needs 99",))


def test_a_comparison_needs_two_models_of_each_group() -> None:
    claim = claim_of(GROUPS, models="")
    assert infeasible(claim, 25, REGISTRY) is None
    found = infeasible(claim, 25, REGISTRY, {"gptj", "smollm2", "pythia-70m"}.__contains__)
    assert found is not None
    assert found.hopeless
    assert str(found).startswith("with groups of 1 and 2 models: hopeless, unsupportable: needs 2 in each group")
    assert infeasible(claim, 25, REGISTRY, {"gptj"}.__contains__) is None  # nothing to compare: said when it is tried


def _first(file: Path, count: int, folder: Path) -> Path:
    """Write the first lines of a file into another."""
    part = folder / f"{count}.txt"
    part.write_text("".join(file.read_text().splitlines(keepends=True)[:count]))
    return part


def test_other_prompts_are_counted_in_their_place(tmp_path: Path) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text(
        f"schema: 1\nclaims:\n  - {{id: c, statement: s, evidence: measured, models: [smollm2], test: {{{SHARE}}}}}\n"
    )
    assert "these 5 categories of prompts: " in next(check_feasible(file))
    plain = tmp_path / "plain.txt"
    plain.write_text("".join(f"a prompt about {number}\n" for number in range(250)))
    assert "these 25 prompts: unsupportable: needs 99" in next(
        check_feasible(file, prompts=str(_first(plain, 25, tmp_path)))
    )
    (last,) = check_feasible(file, prompts=str(plain))
    assert last.endswith("1 claim, 1 case, no fault found")


def test_a_difference_from_the_plain_model_may_lie_where_its_metric_never_does() -> None:
    """A gain is never below 0, and what an intervention takes from it is."""
    against = 'statistic: mean, of: last_gain, under: ablate-mlp, against: plain, predicts: "< 0"'
    assert labels(claim_of(against, evidence="intervention")) == ()
    assert labels(claim_of('statistic: mean, of: last_gain, predicts: "< 0"')) == ("unsupportable: no n would do",)


def test_a_statistic_that_breaks_keeps_no_other_claim_from_being_tried(monkeypatch):
    def broken(*args):
        raise ValueError("boom")

    monkeypatch.setattr("refutable.verdicts.falsifiability.feasibility._of_the_whole", broken)
    found = infeasible(claim_of('statistic: mean, of: last_gain, predicts: "< 1"'), 25, REGISTRY)
    assert found is not None
    assert found.labels == ("not known before it is tried (ValueError: boom; this is a fault of refutable)",)
    assert not found.hopeless
