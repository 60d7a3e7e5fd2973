"""Which categories a claim speaks of: the default, what it may say, and the statistic that follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from refutable.claims import MeasuredClaim
from refutable.claims.cases import cases_of
from refutable.claims.file import read_claims
from refutable.errors import BadInput
from refutable.models.registry import load_registry
from refutable.prompts.find import load_prompts
from refutable.statistics import STATISTICS
from refutable.statistics.over import CLUSTERED, STRATIFIED, other_statistic, statistic_over, units_over

CLAIM = """\
schema: 1
claims:
  - id: one
    statement: s
    evidence: {evidence}
    models: [tiny-gpt2]
    {more}
    test: {{{test}}}
"""


def resolved(tmp_path: Path, test: str, more: str = "for: each", evidence: str = "measured") -> MeasuredClaim:
    file = tmp_path / "claims.yaml"
    file.write_text(CLAIM.format(test=test, more=more, evidence=evidence))
    (tmp_path / "plain.txt").write_text("one two\nthree four\nfive six\nseven eight\n")
    loaded = read_claims(file)
    (case,) = cases_of(loaded.claims, load_registry(), loaded.places, lambda name: load_prompts(name, tmp_path))
    assert isinstance(case.claim, MeasuredClaim)
    return case.claim


MEAN = "statistic: mean, of: last_gain, predicts: '> 1'"


@pytest.mark.parametrize(
    ("test", "more", "statistic"),
    [
        (MEAN, "for: each", "clustered_mean"),
        (f"{MEAN}, over: these_categories", "for: each", "stratified_mean"),
        (f"{MEAN}, over: categories_like_these", "for: each", "clustered_mean"),
        (MEAN, "prompts: plain.txt", "mean"),
        ("statistic: median, of: last_gain, predicts: '> 1'", "for: each", "clustered_median"),
        ("statistic: mean_anytime, of: last_gain, predicts: '> 1'", "for: each", "mean_anytime"),
        ("statistic: pearson, of: [last_gain, output_entropy], predicts: '> 0'", "for: each", "clustered_pearson"),
        ("statistic: stratified_mean, of: last_gain, predicts: '> 1'", "for: each", "stratified_mean"),
    ],
)
def test_the_statistic_follows_from_what_the_claim_speaks_of(
    test: str, more: str, statistic: str, tmp_path: Path
) -> None:
    assert resolved(tmp_path, test, more).test.statistic == statistic


def test_seeds_and_models_are_units_of_their_own(tmp_path: Path) -> None:
    drawn = resolved(tmp_path, MEAN, "seeds: [0, 1, 2, 3, 4, 5]", "initialization")
    assert drawn.test.statistic == "mean"


@pytest.mark.parametrize(
    ("test", "more", "told"),
    [
        (f"{MEAN}, over: these_categories", "prompts: plain.txt", "test.over.*its prompts have no categories"),
        (
            "statistic: median, of: last_gain, predicts: '> 1', over: these_categories",
            "for: each",
            "there is no such version of 'median'",
        ),
        (f"{MEAN}, over: these_kinds", "for: each", "these_categories"),
    ],
)
def test_an_estimand_that_is_not_to_be_had_is_refused(test: str, more: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=told):
        resolved(tmp_path, test, more)


def test_every_estimand_has_another_and_its_own_units() -> None:
    for plain, clustered in CLUSTERED.items():
        assert statistic_over(plain, "categories_like_these") == clustered
        assert clustered in STATISTICS
        assert units_over(clustered, 25, 5) == 5
        stratified = STRATIFIED.get(plain)
        if stratified is None:
            assert other_statistic(clustered) is None
            continue
        assert stratified in STATISTICS
        assert other_statistic(clustered) == ("these_categories", stratified)
        assert other_statistic(stratified) == ("categories_like_these", clustered)
        assert units_over(stratified, 25, 5) == 25
    assert other_statistic("median") is None


@pytest.mark.parametrize("name", ["slope", "trend"])
def test_a_statistic_of_prompts_alone_can_say_that_it_is_over_these_categories(name: str, tmp_path: Path) -> None:
    test = f"statistic: {name}, of: [last_gain, output_entropy], predicts: '> 0'"
    found = resolved(tmp_path, f"{test}, over: these_categories").test
    assert (found.statistic, found.over) == (name, "these_categories")
    with pytest.raises(BadInput, match="there is no such version"):
        resolved(tmp_path, f"{test}, over: categories_like_these")
