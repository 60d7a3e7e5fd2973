"""The documents' theorems: which are true, and what the counter-example to each false one is."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from places import ROOT

from hypotheses.theorems import published
from refutable.claims.file import load_claims
from refutable.theorems import THEOREMS, search_counter_example

# With x the stream, d its update: |x + d|^2 = |x|^2 + 2 x.d + |d|^2.
TRUE = {
    "triangle-inequality",  # a.m <= |a| |m| (Cauchy and Schwarz)
    "contraction-needs-obtuse-update",  # 2 x.d < -|d|^2 <= 0
    "orthogonal-update-never-contracts",  # x.d = 0 leaves |d|^2 >= 0
    "consistent-rule-implies-dampening",  # |gain - 0.8| < 0.15 bounds the gain by 0.95
    "sequential-block-unrolls",  # by putting h in
    "vectors-of-any-lengths-can-oppose",  # p e and -q e
    "norm-scale-folds-into-the-next-matrix",  # distributivity
    "layernorm-divides-by-more-where-the-variance-is-higher",  # sd(c x) = c sd(x)
    "lens-without-a-norm-sees-the-scale",  # (c - 1) W x
    "expansion-is-an-angle-against-a-length",  # |x + d|^2 - |x|^2 = 2 x.d + |d|^2
    "one-expanding-parallel-model-rejects-sufficiency",  # it is the counter-example
    "clipping-leaves-the-entropy",  # by at most V e ln(1/e) = 1.2e-4, and what renormalising adds
    "the-sum-over-heads-is-one-product",  # a sum taken part by part
    "orthogonal-vectors-cohere-as-one-over-root-n",  # |sum|^2 = n r^2
    "random-signs-sum-to-root-n",  # the mean of a product of two signs is 0
    "a-heads-rank-is-at-most-its-width",  # the columns of A span the product's; k unit vectors reach it
    "one-more-dimension-holds-one-more-direction",  # zeros appended, and the new unit vector
    "rotation-keeps-the-norm",  # cos^2 + sin^2 = 1
    "the-tables-share-their-prompts",  # all 125 compared
    "narrower-heads-are-noisier",  # digamma is concave
    "gelu-shortens-what-passes",  # 0 < Phi < 1
    "norms-in-bfloat16-are-adequate",  # 2 * 2u / (1 - u) with u = 2^-8
    "deviation-mirrors-a-gain-below-one",  # |G - 1| = 1 - G
    "total-amplification-starts-after-the-first-block",  # both read it there
    "shared-data-alone-make-no-difference",  # a function has one value
}
VECTORS = {"triangle-inequality", "contraction-needs-obtuse-update", "orthogonal-update-never-contracts"}
VECTORS |= {"expansion-is-an-angle-against-a-length"}
_EXPANDS = {"parallel": True, "narrow": False, "dampens": False}
_DAMPENS = {"parallel": True, "narrow": True, "dampens": True}
OF_LARGE_NUMBERS = {"one-sided-p-is-one-minus-half", "gains-within-0.15-are-both-below-one"}  # thousandths
OF_LARGE_NUMBERS |= {"the-published-gains-share-one-dtype"}  # names of models
FALSE = {
    "triangle-gap-means-opposition": {"a": [1, 0], "m": [0, 1]},  # 1 + 1 > sqrt(2), at a right angle
    "obtuse-update-contracts": {"x": [1], "d": [-2]},  # |1 - 2| = 1
    "opposing-updates-contract": {"x": [1], "a": [2], "m": [-1]},  # |1 + 2 - 1| = 2
    "contracting-and-expanding-modules-oppose": {"read": [2], "attention": [1], "mlp": [3]},
    "expanding-module-expands-the-stream": {"x": [1], "update": [-2]},  # |1 - 2| = 1 is no longer than 1
    "layernorm-sees-the-scale": {"x": [0, 1], "factor": 2},  # both give (-1, 1)
    "expansion-means-a-parallel-part": {"x": [1, 0], "d": [0, 1]},  # sqrt(2), at a right angle
    "expansion-means-a-parallel-part-or-a-new-direction": {"x": [1], "d": [-3]},  # |1 - 3| = 2
    "a-suppressed-update-loses-norm": {"x": [1], "d": [-1]},  # 1 without it, 0 with it
    "halving-an-update-loses-norm": {"x": [2], "half": [-1]},  # 1, where the whole leaves 0
    "more-heads-make-a-longer-sum": {"weights": [[1, 1, 1, 1]], "heads": [1, 1, 1, 1], "borders": []},  # 4 and 4
    "independent-vectors-sum-to-root-n": {"outcomes": [[0], [1]], "n": 2},  # 3/2, not 2 times 1/2: its mean is not zero
    "unnormalised-variance-grows-linearly": {"start": [1, 0]},  # 1, 2, 4
    "shorter-states-come-closer": {"x": [2, 0], "y": [2, 1], "u": [0, 1], "v": [0, -2]},  # 1 apart, then 3
    "shorter-states-fall-together": {"x": [2, 0], "y": [0, 2], "u": [1, 0], "v": [0, 1]},
    "squared-norm-is-variance": {"h": [1]},  # 1, and a variance of 0
    "two-dampening-parallel-models-confirm": {"world": [_DAMPENS, _DAMPENS, _EXPANDS]},
    "one-expanding-parallel-model-rejects-architecture": {"world": [_EXPANDS, _DAMPENS]},  # heads may tell
    "one-sided-p-is-one-minus-half": {"gains": [1000, 1100, 1100]},  # two-sided p 0.18: 0.91 is no 0.09
    "gelu-saturates": {"z": 2},  # 1.95
    "gains-within-0.15-are-both-below-one": {"gain": 1000, "reference": 1001},
    "narrower-heads-score-more-widely": {"narrow": 1, "wide": 2},  # 1 and 1
    "the-published-gains-share-one-dtype": {"one": "gptj", "other": "pythia-6.9b"},  # bfloat16 and float16
    "shared-data-have-no-part-in-a-difference": {"gains": [(0, 1), (0, 0)]},  # none on the other data
}


def test_the_dtypes_of_the_published_tables_are_those_that_the_claims_record():
    recorded = {
        (model, record.dtype)
        for claim in load_claims(ROOT / "claims.yaml")
        for model, record in claim.record.items()
        if claim.evidence == "measured" and claim.test.of == ("last_gain",) and record.comparable and record.n == 25
        if model in published.DTYPES
    }
    assert recorded == {*published.DTYPES.items()}


def test_every_theorem_is_known_here_to_be_true_or_false():
    assert {*THEOREMS} == TRUE | {*FALSE}


@pytest.mark.parametrize("name", sorted(TRUE))
def test_no_counter_example_to_a_true_theorem_is_found(name):
    found = search_counter_example(THEOREMS[name], 100)
    assert found.counter_example is None
    assert 50 <= found.tried <= 100


@pytest.mark.parametrize("name", sorted(FALSE))
def test_a_false_theorem_is_refuted_by_the_known_example_and_by_the_one_found(name):
    subject = THEOREMS[name]
    assert subject.refuted_by(FALSE[name])
    found = search_counter_example(subject, 200).counter_example
    assert found is not None
    assert subject.refuted_by(found)
    numbers = [int(number) for number in re.findall(r"-?\d+", str(found))]
    assert name in OF_LARGE_NUMBERS or all(abs(number) <= 3 for number in numbers)  # shrunk


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_no_pair_of_small_vectors_refutes_a_true_theorem(name):
    subject = THEOREMS[name]
    names = ("a", "m") if name == "triangle-inequality" else ("x", "d")
    vectors = [list(v) for v in itertools.product(range(-3, 4), repeat=2)]
    assert not any(
        subject.refuted_by(dict(zip(names, pair, strict=True))) for pair in itertools.product(vectors, repeat=2)
    )


def test_the_exact_forms_agree_with_floating_point_away_from_equality():
    rng = np.random.default_rng(0)
    for _ in range(300):
        a, m = (rng.integers(-9, 10, 3) for _ in range(2))
        both, total = np.linalg.norm(a) + np.linalg.norm(m), np.linalg.norm(a + m)
        example = {"a": a.tolist(), "m": m.tolist()}
        if both - total > 1e-9:
            assert THEOREMS["triangle-gap-means-opposition"].premise(example)
        assert THEOREMS["triangle-inequality"].holds(example)


@pytest.mark.parametrize("example", [{"a": [2, 4], "m": [3, 6]}, {"a": [0], "m": [5]}, {"a": [0], "m": [0]}])
def test_parallel_and_zero_vectors_leave_no_gap(example):
    assert not THEOREMS["triangle-gap-means-opposition"].premise(example)


@pytest.mark.parametrize("name", sorted(TRUE))
def test_what_is_true_is_proved_in_writing(name):
    proof = ROOT / "docs" / "proofs" / f"{name}.md"
    text = proof.read_text(encoding="utf-8")
    for part in ("**Theorem.**", "**Proof.**", "∎", "**What it says of the claim"):
        assert part in text


def test_a_false_theorem_has_no_proof():
    written = {path.stem for path in (ROOT / "docs" / "proofs").glob("*.md")} - {"README"}
    assert written == TRUE


@pytest.mark.parametrize("name", [*THEOREMS])
def test_every_theorem_says_what_it_says(name):
    assert THEOREMS[name].doc.endswith(".")


def test_a_deviation_mirrors_no_gains_that_lie_on_both_sides_of_one():
    mirrors = THEOREMS["deviation-mirrors-a-gain-below-one"].holds
    assert mirrors({"gains": [100, 900, 999], "entropies": [1, 2, 4]})
    assert not mirrors({"gains": [100, 1900, 999], "entropies": [1, 2, 4]})
    assert not mirrors({"gains": [900, 1100], "entropies": [1, 2]})  # |G - 1| does not vary at all


def test_an_amplification_that_counts_the_embedding_is_not_the_notebooks(monkeypatch):
    example = {"embedding": 1, "updates": [3, 4], "moved": 2}  # 1, 4, 8
    starts_after = THEOREMS["total-amplification-starts-after-the-first-block"].holds
    assert starts_after(example)
    monkeypatch.setattr(published, "_amplification", lambda embedding, updates: (embedding + sum(updates)) / embedding)
    assert not starts_after(example)
