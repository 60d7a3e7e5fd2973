"""A verdict is earned: whatever a claim says, other data bring the other verdict, for every kind of evidence."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import strategies as st
from places import ROOT

from refutable.claims import BaseClaim
from refutable.claims.cases import Case
from refutable.claims.file import load_claims
from refutable.claims.kinds import CLAIM_CLASSES
from refutable.claims.parts import WORDS
from refutable.errors import NotMeasured
from refutable.evidence import decide_case, theorem
from refutable.evidence.specification import judge_samples
from refutable.evidence.wiring import PROBES
from refutable.metrics import METRICS
from refutable.models.registry import load_registry
from refutable.models.registry_facts import ROW_WORDS
from refutable.statistics.region import Region, parse_region
from refutable.statistics.sample import Sample
from refutable.theorems import Theorem
from refutable.traces.trace import Trace
from refutable.verdicts.falsifiability.vacuity import is_vacuous
from refutable.verdicts.verdict import Verdict

REGISTRY = load_registry()
CLAIMS = [claim for claim in load_claims(ROOT / "claims.yaml") if claim.collection == "Three documents"]
LAYERS, PROMPTS = 32, 120  # enough prompts for every share that a claim predicts
RNG = np.random.default_rng(0)
MEASURED = ("measured", "initialization", "dynamical", "intervention")
TRIED_HERE = {*MEASURED, "architecture", "wiring", "theorem"}
UNDECIDED_HERE = {"causal", "dynamical", "intervention", "none"}  # the middle two where a claim has no test


def of_kind(*kinds: str, tested: bool = True) -> Any:
    chosen = [claim for claim in CLAIMS if claim.evidence in kinds and hasattr(claim, "test") == tested]
    return pytest.mark.parametrize("claim", chosen, ids=lambda claim: claim.id)


def test_every_kind_of_evidence_is_tried_here():
    kinds = {value for kind in CLAIM_CLASSES for value in get_args(kind.model_fields["evidence"].annotation)}
    assert kinds == TRIED_HERE | UNDECIDED_HERE
    assert {claim.evidence for claim in CLAIMS} == kinds


# Measured and drawn: samples that lie where the claim says, and samples that do not


def number(region: Region, inside: bool, bounds: tuple[float, float]) -> float:
    """Return a number well inside or well outside a region, and within what a metric can be."""
    steps = (0.5, 0.1, 0.01, 0.003, 2.0, 10.0)
    around = [end for end in (region.low, region.high) if np.isfinite(end)]
    tries = [end + sign * step * max(abs(end), 0.1) for end in around for step in steps for sign in (1, -1)]
    tries = [region.threshold, *tries] if not region.one_sided and inside else tries
    return next(x for x in tries if bounds[0] < x < bounds[1] and (x in region) == inside)


def spread(values: np.ndarray, region: Region) -> np.ndarray:
    """Return the values with a little noise, so that they have a spread."""
    width = region.high - region.low
    size = 1e-3 * (width if np.isfinite(width) else max(abs(region.threshold), 1e-2))
    return values + size * RNG.uniform(-1, 1, values.shape)


def samples(claim: Any, inside: bool) -> tuple[Sample, ...]:
    """Return samples of which a claim's test must say that its prediction holds, or that it does not."""
    test, n = claim.test, len(claim.seeds) if claim.evidence == "initialization" else PROMPTS
    low, high = METRICS[test.of[0]].range
    bounds = (low, high) if test.against is None else (low - high, high - low)
    unit = "seed" if claim.evidence == "initialization" else "prompt"
    match test.statistic:
        case "mean" | "geometric_mean":
            at = number(test.region, inside, bounds)
            return (Sample(test.of[0], spread(np.full(n, at), test.region), unit),)
        case "ratio_of_means":
            below = RNG.uniform(1, 2, n)
            at = spread(np.full(n, number(test.region, inside, bounds)), test.region)
            return Sample(test.of[0], at * below, unit), Sample(test.of[0], below, unit)
        case "paired_difference":
            second = RNG.uniform(1, 2, n)
            at = spread(np.full(n, number(test.region, inside, (low - high, high - low))), test.region)
            return Sample(test.of[0], second + at, unit), Sample(test.of[1], second, unit)
        case "layers_passing" if not test.region.one_sided:  # of any share: so many of the layers hold
            passing = round(LAYERS * (test.region.threshold if inside else 0))
            held, broken = (number(test.holds_region, holds, bounds) for holds in (True, False))
            at = np.where(np.arange(LAYERS) < passing, held, broken)
            return (Sample(test.of[0], spread(np.tile(at, (n, 1)), test.holds_region), unit),)
        case "layers_passing" | "share_of_prompts":
            holds = inside == (1.0 in test.region)  # all of them or none
            at = number(test.holds_region, holds, bounds)
            shape = (n, LAYERS) if test.statistic == "layers_passing" else (n,)
            kinds = tuple("abcde"[i % 5] for i in range(n)) if test.over is not None else ()
            return (Sample(test.of[0], spread(np.full(shape, at), test.holds_region), unit, kinds),)
        case "pearson" | "spearman" | "partial_correlation" | "pearson_within_categories" | "trend":
            x, given = RNG.uniform(0.2, 0.8, (2, n))
            sign = 1 if inside == (1.0 in test.region) else -1
            y = 0.5 + sign * (x - 0.5) + 0.01 * RNG.normal(size=n)
            names = [*test.of, test.fact][:3] if test.fact else test.of
            kinds = tuple(f"category {i % 5}" for i in range(n))
            return tuple(Sample(name, of, unit, kinds) for name, of in zip(names, (x, y, given), strict=False))
        case "share_between_categories":
            kinds = tuple(f"category {i % 5}" for i in range(n))
            between = (np.arange(n) % 5) * (0.1 if inside else 0.0)
            alike = 0.3 + 0.01 * (np.arange(n) // 5)  # every category has these values
            return (Sample(test.of[0], alike + between, unit, kinds),)
        case "trend_over_categories":
            x = np.arange(n) % 5.0
            y = 0.5 + (0.05 if inside == (1.0 in test.region) else -0.05) * x + 0.01 * RNG.normal(size=n)
            kinds = tuple(f"category {i % 5}" for i in range(n))
            return tuple(Sample(name, of, unit, kinds) for name, of in zip(test.of, (y, x), strict=True))
        case "power_law_exponent":
            x = np.geomspace(4, 64, n)
            power = test.region.threshold if inside else test.region.high + 0.2
            return Sample(test.of[0], x**power * np.exp(0.01 * RNG.normal(size=n)), "model"), Sample("fact", x, "model")
        case "boundary":
            x = np.arange(float(n)) // (n // 2)  # of two values: it holds of one, or of half of each, which foretells
            met, missed = (
                number(test.holds_region, holds, bounds) for holds in (True, False)
            )  # the one left out wrong
            apart = x > 0 if test.holds_above is not False else x < 1
            neither = np.arange(n) % 2 > 0 if test.holds_above is None else ~apart
            holds = apart if inside == (0.5 in test.region) else neither
            return Sample(test.of[0], np.where(holds, met, missed), "model"), Sample("fact", x, "model")
        case "models_passing" if not test.region.one_sided:  # so many of them
            passing = test.region.threshold if inside else 0
            held, broken = (number(test.holds_region, holds, bounds) for holds in (True, False))
            ats = [held if index < passing else broken for index in range(10)]
            return tuple(Sample(test.of[0], spread(np.full(n, at), test.holds_region), unit) for at in ats)
        case "models_passing":
            holds = inside == (10.0 in test.region)
            at = number(test.holds_region, holds, bounds)
            return tuple(Sample(test.of[0], spread(np.full(n, at), test.holds_region), unit) for _ in range(10))
        case "difference_of_groups" | "permutation_difference":
            levels = (0.3, 0.6) if inside == (-0.1 in test.region) else (0.6, 0.3)
            sizes = [len(one.select(REGISTRY)) for one in test.groups.values()]
            return tuple(
                Sample(test.of[0], at + 0.01 * RNG.normal(size=size), "model")
                for at, size in zip(levels, sizes, strict=True)
            )
        case "difference_of_categories":
            levels = (0.3, 0.6) if inside == (-0.1 in test.region) else (0.6, 0.3)
            kinds = [(name, at) for names, at in zip(test.categories.values(), levels, strict=True) for name in names]
            values = np.repeat([at for _, at in kinds], 5) + 0.01 * RNG.normal(size=5 * len(kinds))
            return (Sample(test.of[0], values, unit, tuple(name for name, _ in kinds for _ in range(5))),)
    pytest.fail(f"say here which data make {test.statistic} hold and which do not")


@of_kind(*MEASURED)
def test_other_numbers_bring_the_other_verdict(claim):
    for inside, verdict in ((True, Verdict.SUPPORTED), (False, Verdict.REFUTED)):
        if inside or not is_vacuous(claim.test):  # the test below names those
            assert judge_samples(claim.test, samples(claim, inside), claim.alpha).verdict is verdict


@of_kind(*MEASURED)
def test_only_what_is_known_to_be_vacuous_would_be_supported_by_any_data(claim):
    assert is_vacuous(claim.test) == (claim.id == "triangle-gap-measured")


# Architecture: facts that are as the claim says, and facts that are not


def source_of(value: Any = None, **more: Any) -> Any:
    """Return a source that knows one stand-in, every fact of which is this."""
    row = SimpleNamespace(fact=lambda name, config=None: value, config_source="made up", stand_in=True)

    def find_weights(*args: Any, **keys: Any) -> Any:
        raise NotMeasured("made up")

    selection = SimpleNamespace(registry={"made-up": row}, subject=lambda name: name, usable=lambda name: None)
    return SimpleNamespace(selection=selection, find_weights=find_weights, **more)


def judge_fact(claim: BaseClaim, value: str | float | bool) -> Verdict:
    return decide_case(Case(claim.id, claim, ("made-up",), False), source_of(value)).verdict


@of_kind("architecture")
def test_another_fact_brings_the_other_verdict(claim):
    test = claim.test
    if test.predicts is not None:
        region = parse_region(test.predicts)
        values = tuple(number(region, inside, (-np.inf, np.inf)) for inside in (True, False))
    else:
        values = test.equals, next(word for word in WORDS[test.fact] if word != test.equals)
    assert [judge_fact(claim, value) for value in values] == [Verdict.SUPPORTED, Verdict.REFUTED]


# Wiring: what the probe sees


def judge_seen(claim: Any, moved: str | None) -> Verdict:
    """Judge a claim by a probe that sees one of what it watches move, or nothing."""
    seen = {name: [0.3, 0.4] if name == moved else [0.0, 0.0] for name in PROBES[claim.test.probe].columns}
    trace = Trace("key", {}, pa.table(seen), pa.table({"text": pa.array([], pa.string())}))
    source = source_of(trace=lambda subject, one: trace)
    return decide_case(Case(claim.id, claim, ("made-up",), False), source).verdict


@of_kind("wiring")
def test_another_wiring_brings_the_other_verdict(claim):
    unmoved = judge_seen(claim, None)
    for name in PROBES[claim.test.probe].columns:
        assert {unmoved, judge_seen(claim, name)} == {Verdict.SUPPORTED, Verdict.REFUTED}
    assert (unmoved is Verdict.SUPPORTED) == (claim.test.equals in ("parallel", "pattern"))


# Theorems: a counter-example, or none and a proof


@of_kind("theorem")
def test_a_counter_example_refutes_whatever_proof_is_given_and_without_one_a_proof_decides(claim, monkeypatch):
    verdicts = {}
    for true in (True, False):
        made_up = Theorem("made-up", st.fixed_dictionaries({"x": st.integers()}), lambda example, true=true: true)
        monkeypatch.setattr(theorem, "THEOREMS", {claim.test.property: made_up})
        few = claim.model_copy(update={"test": claim.test.model_copy(update={"examples": 5})})
        verdicts[true] = decide_case(Case(claim.id, few, (), False), SimpleNamespace()).verdict
    assert verdicts[False] is Verdict.REFUTED
    assert verdicts[True] is (Verdict.SUPPORTED if claim.proof else Verdict.INCONCLUSIVE)


# What nobody tried decides nothing


@of_kind(*sorted(UNDECIDED_HERE), tested=False)
def test_what_nobody_tried_has_no_verdict(claim):
    judged = decide_case(Case(claim.id, claim, (), False), SimpleNamespace())
    assert judged.verdict is Verdict.NOT_MEASURED
    assert (getattr(claim, "needs", None) or claim.reason) in judged.why


def test_a_claim_names_groups_or_models_and_both_are_looked_up_in_the_registry():
    for claim in CLAIMS:
        sizes = [len(selector.select(REGISTRY)) for selector in claim.groups.values()]
        exact = getattr(claim, "test", None) and claim.test.statistic == "permutation_difference" if sizes else False
        assert min(sizes, default=3) >= (1 if exact else 3), claim.id
        if exact:  # no verdict can be proved where there are too few ways to deal the models out
            assert claim.alpha * math.comb(sum(sizes), sizes[0]) >= 1, claim.id
    assert set(ROW_WORDS) <= set(WORDS)
