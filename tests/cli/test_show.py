"""One claim in prose and numbers, and what the command can be asked for a claim."""

from __future__ import annotations

from functools import cache, partial

import pytest
from places import ROOT

from refutable.claims import MeasuredClaim
from refutable.claims.cases import cases_of
from refutable.claims.file import read_claims
from refutable.models.registry import load_registry
from refutable.prompts.find import load_prompts
from refutable.reports.claim_text import claim_text
from refutable.reports.formats.verdicts_json import write
from refutable.reports.journal import RunResult
from refutable.traces.store import Store
from refutable.verdicts.judge import Judgement
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

CLAIMS = """\
schema: 1
claims:
  - id: parallel-attention-dampens
    statement: Parallel blocks dampen.
    source: {document: notebook, section: Cell 3, quote: "it dampens"}
    evidence: measured
    models: [smollm2, gptj]
    test: {statistic: mean, of: layer_gain, layer: mean, position: all, predicts: "< 1"}  # the notebook's
    controls: [initialization]
    record: {gptj: {value: 1.06, n: 25}}

  # a comment before the next one
  - {id: it-has-28-layers, statement: It has 28., evidence: architecture, models: gptj, test: {fact: layers, predicts: ">= 28"}}
  - {id: training-decides, statement: Training decides., evidence: causal, needs: twins that differ in one factor.}
  - {id: beautiful, statement: It is beautiful., evidence: none, reason: no measure of beauty is named.}
"""  # noqa: E501


@pytest.fixture
def suite(tmp_path, monkeypatch, called):
    folder = tmp_path / "here"
    (folder / "claims.yaml").write_text(CLAIMS, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nrefutable_published = kept/verdicts.json\n")
    return folder


def row(verdict, why, subject):
    judged = Judgement(verdict, "< 1", why, labels=("skewed",) if verdict is Verdict.REFUTED else ())
    about = {"statement": "s", "evidence": "measured", "alpha": 0.05}
    claim = "parallel-attention-dampens"
    return VerdictRow.of(judged, case=f"{claim}-{subject}", claim=claim, subject=subject, about=about)


def test_a_claim_is_told_in_prose_and_numbers_with_its_last_verdicts(suite, called):
    rows = (row(Verdict.REFUTED, "mean = 1.2", "smollm2"), row(Verdict.NOT_MEASURED, "gptj was not selected", "gptj"))
    for place, of in (("reports", rows), ("kept", rows[:1])):
        write(RunResult({}, of), Store(suite / "cache"), suite / place)
    told = called("show", "parallel-attention-dampens")
    assert told.exit_code == 0, told.output
    for line in (
        "# parallel-attention-dampens\n\nParallel blocks dampen.\n",
        "- from notebook, Cell 3: “it dampens”",
        "- its author recorded 1.06 for gptj, n = 25",
        "- Each of 2 models (smollm2, gptj) has a verdict of its own.",
        "- 25 prompts of `grand-unified-25` are run through its weights (pass `forward`).",
        "- `layer_gain`, as the mean over all tokens, the first token left out, as the mean over layers, raw: Norm of",
        "- `clustered_mean`: The mean of the categories' means",
        "- SUPPORTED if a one-sided bound, with an error probability of 5 %, lies in `< 1`; REFUTED if the opposite",
        "- It ought to fail on initialization;",
        "- REFUTED on smollm2: mean = 1.2 [skewed]",
        "- NOT_MEASURED on gptj: NAME was not selected",
        "kept/verdicts.json:\n\n- REFUTED on smollm2",
        '  test: {statistic: mean, of: layer_gain, layer: mean, position: all, predicts: "< 1"}  # the notebook\'s\n',
    ):
        assert line in told.output, line
    assert told.output.count("NOT_MEASURED") == 1
    assert "it-has-28-layers" not in told.output


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (
            "it-has-28-layers",
            ["- On gptj.", "The fact `layers` is looked up", "SUPPORTED where it is >= 28, else REFUTED"],
        ),
        ("training-decides", ["it needs an experiment that has not been made. twins that differ in one factor."]),
        ("beautiful", ["It cannot be tested: no measure of beauty is named."]),
    ],
)
def test_what_no_model_decides_says_what_does(suite, called, claim, said):
    told = called("show", claim).output
    assert "None yet: no run with it" in told
    for line in said:
        assert line in told
    assert f"- {{id: {claim}," in told


def test_an_unknown_claim_is_told_the_nearest(suite, called):
    told = called("show", "attention-dampens")
    assert told.exit_code == 4
    assert "no claim is called 'attention-dampens'. Nearest: parallel-attention-dampens" in told.output


def test_every_claim_of_this_repository_can_be_shown():
    """Each kind of evidence, and each key that the text has words for."""
    loaded = read_claims(ROOT / "claims.yaml")
    named = cache(partial(load_prompts, beside=ROOT))
    cases = cases_of(loaded.claims, load_registry(ROOT / "fixtures" / "models.yaml"), loaded.places, named)
    by_claim = {}
    for case in cases:
        by_claim.setdefault(case.claim.id, []).append(case)
    texts, yaml = [], loaded.yaml()
    for claim in loaded.claims:
        mine = by_claim.get(claim.id, [])
        of = mine[0].claim if mine else claim
        prompts = named(of.prompts) if isinstance(of, MeasuredClaim) else None
        texts.append(claim_text(of, mine, yaml[claim.id], {}, prompts))
        assert f"id: {claim.id}\n" in texts[-1] or f"id: {claim.id}," in texts[-1]
        assert texts[-1].count("- id: ") + texts[-1].count("- {id: ") == 1
    assert not any("see docs/measurement.md" in text for text in texts)
