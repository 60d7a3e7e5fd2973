"""What the command and the documentation say of metrics, statistics and passes: one text, in step with registries."""

from __future__ import annotations

import pytest
from places import ROOT

from refutable._util.strict_yaml import parse_yaml
from refutable.claims import MeasuredClaim
from refutable.claims.file import claims_from
from refutable.errors import UnknownName
from refutable.metrics import METRICS
from refutable.reports.reference import entries, entry, reference_page
from refutable.statistics import STATISTICS
from refutable.traces.passes import PASSES
from refutable.verdicts.falsifiability.vacuity import is_vacuous

KINDS = {"metrics": METRICS, "statistics": STATISTICS, "passes": PASSES}
EVERY = [(kind, name) for kind, registry in KINDS.items() for name in registry]


@pytest.mark.parametrize("kind", KINDS)
def test_the_documentation_has_what_the_command_says(kind):
    """To write them anew: make reference."""
    assert (ROOT / "docs" / "reference" / f"{kind}.md").read_text(encoding="utf-8") == reference_page(kind)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_each_has_a_text_and_an_example_that_can_be_tried_and_can_fail(kind, name):
    found = entry(kind, name)
    assert found.summary.endswith(".")
    assert len(found.summary) > 10
    indented = "".join(f"  {line}\n" for line in found.example.splitlines())
    (claim,) = claims_from(parse_yaml(f"schema: 1\nclaims:\n{indented}", "example.yaml"))
    if isinstance(claim, MeasuredClaim):
        assert name in (claim.test.statistic, *claim.test.of, *(METRICS[of].reads for of in claim.test.of))
        assert not is_vacuous(claim.test, 6)


def test_a_metric_says_its_range_its_unit_its_pass_and_what_moves_it():
    text = entry("metrics", "rank_gain").markdown
    assert text.startswith("## rank_gain\n\nEffective rank of the states")
    assert "- range: at least 0\n- unit: ratio\n" in text
    assert "- pass: `rank`\n" in text
    assert "- gauge: raw: moved, without a change of any logit, by a constant added along the mean direction" in text
    assert "`norm: centred`: no exact rewrite of the weights moves it" in text
    assert "it reads no norm, so raw and centred are one" in entry("metrics", "output_entropy").facts["gauge"]
    assert entry("metrics", "cos_mlp_residual").facts["range"] == "[-1, 1]"


def test_a_statistic_says_when_its_error_rates_hold_and_what_it_stands_for():
    of = entry("statistics", "mean").facts
    assert of["error rates hold if"] == "units are independent; values are not skewed"
    assert of["estimand"].startswith("where prompts have categories, `stratified_mean` or `clustered_mean`")
    assert entry("statistics", "clustered_mean").facts["estimand"].startswith("what `mean` is over categories like")
    assert entry("statistics", "random_effects").facts["takes"] == "one metric; several models, `for: pooled`"
    assert "holds for all looks" not in str(of)
    assert "for all looks" in entry("statistics", "mean_anytime").facts["every look counts"]


def test_a_pass_names_its_metrics():
    of = entry("passes", "reach").facts
    assert of["metrics"] == "`token_reach`, `write_reach`"
    assert of["the first token"] == "counts, unless a claim says `first_token: without`"
    assert entry("passes", "jacobian").facts["claims on it"] == "`evidence: dynamical`"
    assert {each.name for each in entries("passes") if each.facts["claims on it"] == "`evidence: wiring`"} == {
        "wiring",
        "rotation",
    }


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'last_gain'"):
        entry("metrics", "last_gian")
