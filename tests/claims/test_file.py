"""This repository's own claims.yaml: usable, true to the documents' words, about models that exist."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

import pytest
import yaml
from places import ROOT, SHARED

from refutable.claims import MeasuredClaim
from refutable.claims.file import load_claims
from refutable.models.registry import ModelRegistry, load_registry
from refutable.models.selector import Selector
from refutable.prompts.find import load_prompts
from refutable.statistics.region import parse_region

CLAIMS = [claim for claim in load_claims(ROOT / "claims.yaml") if claim.collection == "Three documents"]
BY_ID = {claim.id: claim for claim in CLAIMS}


@cache
def registry() -> ModelRegistry:
    return load_registry(ROOT / "fixtures" / "models.yaml")


@cache
def document(name: str) -> str:
    return squeezed((SHARED / "documents" / f"{name}.txt").read_text(encoding="utf-8"))


@cache
def catalogue() -> dict[str, Any]:
    text = (SHARED / "claims-catalogue.yaml").read_text(encoding="utf-8")
    return {entry["id"]: entry for entry in yaml.safe_load(text)["claims"]}


def squeezed(text: str) -> str:
    return " ".join(text.split())


def selectors(claim: Any) -> list[Selector]:
    groups = getattr(getattr(claim, "test", None), "groups", None)
    if groups:
        return [*groups.values()]
    return [claim.models] if hasattr(claim, "models") else []


def every_claim(function: Any) -> Any:
    return pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)(function)


# The documents

OURS = {"eleutherai-models-have-a-lower-gain", "most-eleutherai-models-dampen", "all-eleutherai-models-dampen"}
quoted = pytest.mark.parametrize("claim", [c for c in CLAIMS if c.id not in OURS], ids=lambda claim: claim.id)


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_claim_that_no_sentence_makes_says_so_and_decides_none(name):
    claim = BY_ID[name]
    assert "no reading of the words" in claim.statement
    assert claim.source.section
    assert (claim.catalogue, claim.source.quote, claim.reading_of, claim.also) == (None, None, None, ())


@pytest.mark.documents
@quoted
def test_a_quote_stands_in_its_document_word_for_word(claim):
    assert claim.source is not None
    assert claim.source.quote
    assert squeezed(claim.source.quote) in document(claim.source.document)


@pytest.mark.documents
@quoted
def test_a_claim_is_in_the_catalogue_and_of_the_document_that_it_names(claim):
    assert claim.catalogue in catalogue()
    assert catalogue()[claim.catalogue]["document"] == f"{claim.source.document}.txt"


def test_the_documents_are_taken_in_one_order_and_not_mixed():
    order = [claim.source.document for claim in CLAIMS]
    assert [name for i, name in enumerate(order) if i == 0 or order[i - 1] != name] == [*dict.fromkeys(order)]


# Identity


def test_there_are_enough_claims_and_no_two_say_the_same():
    assert len(CLAIMS) >= 30
    assert [key for key, n in Counter(claim.id for claim in CLAIMS).items() if n > 1] == []
    assert [key for key, n in Counter(claim.statement for claim in CLAIMS).items() if n > 1] == []


@pytest.mark.parametrize("reading", [claim for claim in CLAIMS if claim.reading_of], ids=lambda claim: claim.id)
def test_a_reading_is_tied_to_the_first_reading(reading):
    first = BY_ID[reading.reading_of]
    assert first.reading_of is None


# Models, prompts, proofs


@every_claim
def test_every_recorded_model_is_in_the_registry_and_is_one_the_claim_is_about(claim):
    selected = {row.name for selector in selectors(claim) for row in selector.select(registry())}
    assert set(claim.record) <= selected


@every_claim
def test_every_name_of_a_model_means_one(claim):
    for selector in selectors(claim):
        for name in selector.names:
            assert registry().matching(name), name
        assert selector.select(registry())


@every_claim
def test_the_prompts_of_a_claim_load(claim):
    if hasattr(claim, "prompts"):
        assert len(load_prompts(claim.prompts)) > 0


@every_claim
def test_a_proof_that_is_named_is_written(claim):
    proof = getattr(claim, "proof", None)
    if proof is not None:
        assert (ROOT / proof).is_file()


def test_every_written_proof_belongs_to_a_claim():
    named = {claim.proof for claim in CLAIMS if getattr(claim, "proof", None)}
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "proofs").glob("[!R]*.md")} == named


def test_the_default_model_is_asked_at_least_twelve_measured_questions():
    default = next(row for row in registry() if row.default)
    asked = [
        c.id
        for c in CLAIMS
        if c.evidence == "measured" and not c.test.groups and default in c.models.select(registry())
    ]
    assert len(asked) >= 12


@every_claim
def test_every_band_says_whether_the_effect_at_stake_or_a_reading_makes_it_as_wide_as_it_is(claim):
    if isinstance(claim, MeasuredClaim):
        assert (claim.tolerance is not None) == bool(claim.bands)


# Numbers of another model that a claim had to write out


@pytest.mark.parametrize(
    ("claim", "model", "tolerance"),
    [
        ("pythia-6.9b-was-drawn-smaller-than-gptj", "gptj", 1e-3),
        ("gptj-was-drawn-larger-than-pythia", "pythia-6.9b", 1e-9),
        ("gptj-reads-with-larger-first-weights", "pythia-6.9b", 1e-9),
        ("pythia-6.9b-is-deeper-than-gptj", "gptj", 0),
        ("pythia-6.9b-rotates-more-of-a-head-than-gptj", "gptj", 0),
        ("blocks-come-after-the-one-that-is-measured", "gptj", 0),
        ("gptj-is-shallower-than-pythia-6.9b", "pythia-6.9b", 0),
        ("gptj-is-wider-than-pythia-6.9b", "pythia-6.9b", 0),
        ("gptj-has-a-wider-stream-than-pythia-6.9b", "pythia-6.9b", 0),
    ],
)
def test_a_number_that_stands_for_another_model_is_that_models_fact(claim, model, tolerance):
    test = BY_ID[claim].test
    assert parse_region(test.predicts).threshold == pytest.approx(registry()[model].fact(test.fact), rel=tolerance)


# What is said of the documents' sentences


@pytest.mark.documents
@pytest.mark.parametrize(
    "other", [other for claim in CLAIMS for other in claim.also], ids=lambda other: f"{other.catalogue}-{other.section}"
)
def test_a_restatement_stands_in_its_document_word_for_word_and_under_its_catalogue_id(other):
    assert squeezed(other.quote) in document(other.document)
    if other.catalogue is not None:  # the catalogue need not have every sentence that says the same
        assert catalogue()[other.catalogue]["document"] == f"{other.document}.txt"


@pytest.mark.documents
@every_claim
def test_a_section_is_a_heading_of_its_document(claim):
    for source in (claim.source, *claim.also):
        text = document(source.document)
        cell = re.fullmatch(r"Cell (\d+)", source.section)
        assert f"# Cell {cell[1]}:" in text if cell else squeezed(source.section) in text, source.section


@pytest.mark.documents
@quoted
def test_a_quote_is_near_the_line_that_the_catalogue_gives(claim):
    """Two sentences may have the same words: a quote is of the sentence that its catalogue id names.

    A further reading may quote another sentence, that suggests it.
    """
    first = [] if claim.reading_of else [(claim.catalogue, claim.source)]
    for name, source in (*first, *((other.catalogue, other) for other in claim.also if other.catalogue is not None)):
        lines = (SHARED / "documents" / f"{source.document}.txt").read_text(encoding="utf-8").splitlines()
        line = catalogue()[name]["line"]
        near = squeezed(" ".join(lines[max(0, line - 16) : line + 15]))
        assert squeezed(source.quote) in near, (name, line, source.quote)
