"""Claims: what a good file becomes, and how a wrong one is refused: by line, with the nearest word."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT

from refutable import statistics
from refutable._util.strict_yaml import parse_yaml
from refutable.claims import InitializationClaim
from refutable.claims.file import claims_from, load_claims, supposed_evidence
from refutable.claims.schema import json_schema, schema_text
from refutable.errors import BadInput
from refutable.models.registry import load_registry

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

SCHEMA_FILE = ROOT / "docs" / "claims.schema.json"

GOOD = """\
schema: 1
claims:
  - id: parallel-attention-dampens
    catalogue: s4-parallel-dampens
    decides: sentence
    statement: Parallel blocks dampen the residual stream at the last layer.
    source: {document: gptj-parallel-test-notebook, section: Hypothesis, quote: "..."}
    evidence: measured
    models: {wiring: parallel, family: gptj}
    for: each
    prompts: grand-unified-25
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
    controls: [initialization]
    multiverse: {norm: [raw, centred], dtype: [bfloat16, float32], statistic: [mean, geometric_mean]}
    record:
      pythia-6.9b: {value: 0.8047, dtype: float16, n: 25}
      gptj: {value: 1.0652, dtype: bfloat16, n: 25}
  - id: attention-contracts
    statement: Attention contracts in at least 97 % of layers.
    reading_of: parallel-attention-dampens
    evidence: measured
    models: [pythia-*, gptj]
    for: all
    alpha: 0.01
    slow: true
    test: {statistic: layers_passing, of: [attention_gain], holds: "< 1", predicts: ">= 0.97"}
  - id: one-layer
    statement: In the second layer, entropy and gain go together.
    evidence: measured
    models: smollm2
    test: {statistic: pearson, of: [attention_entropy, layer_gain], layer: 2, predicts: "> 0"}
  - id: groups-differ
    statement: Parallel blocks gain less than sequential ones.
    evidence: measured
    test:
      statistic: difference_of_groups
      of: last_gain
      groups: {parallel: {wiring: parallel}, sequential: [gpt2-xl, mistral-7b]}
      predicts: "< 0"
  - id: drawn
    statement: It holds before training.
    evidence: initialization
    seeds: [0, 1, 2]
    test: {statistic: mean, of: layer_gain, layer: last, position: all, norm: centred, predicts: "within [0.9, 1.1]"}
  - {id: deep, statement: It has 28 layers., evidence: architecture, models: gptj, test: {fact: layers, predicts: ">= 28"}}
  - {id: wired, statement: It is parallel., evidence: wiring, models: gptj, test: {probe: mlp_reads_attention, equals: parallel}}
  - {id: proved, statement: So it is., evidence: theorem, proof: "Cauchy.", test: {property: triangle-inequality}}
  - {id: pending, statement: Training decides., evidence: causal, needs: twins}
  - {id: untestable, statement: It is beautiful., evidence: none, reason: no measure of beauty is named}
"""  # noqa: E501


def read(text):
    return claims_from(parse_yaml(text, "c.yaml"))


def problems_of(text):
    with pytest.raises(BadInput) as caught:
        read(text)
    return check_style(str(caught.value)).splitlines()


def check_style(text):
    """Every line names file and line; none is written for the authors of a library."""
    for line in text.splitlines():
        assert re.match(r"(c|claims)\.yaml:\d+ \S", line), line
        assert len(line) < 2000  # all that is allowed: every property there is
    for word in (
        "Traceback",
        "pydantic",
        "http",
        "validation error",
        "instance of",
        "tuple",
        "dictionary",
        "BaseModel",
    ):
        assert word not in text
    for word in ("constrained-", "literal[", "function-", "type=", "datetime"):
        assert word not in text
    return text


def one(**keys):
    """Return a file of one measured claim, a key a line from line 3, some replaced; None leaves a key out."""
    claim = {
        "id": "a",
        "statement": "s",
        "evidence": "measured",
        "test": '{statistic: mean, of: last_gain, predicts: "< 1"}',
        **{key.rstrip("_"): value for key, value in keys.items()},
    }
    lines = [f"{key}: {value}" for key, value in claim.items() if value is not None]
    return "schema: 1\nclaims:\n  - " + "\n    ".join(lines) + "\n"


def test_of(**keys):
    """Return the text of a test, some keys replaced."""
    made = {"statistic": "mean", "of": "last_gain", "predicts": '"< 1"', **keys}
    return "{" + ", ".join(f"{key}: {value}" for key, value in made.items() if value is not None) + "}"


test_of.__test__ = False  # its name is that of the key it writes


# What a good file becomes


def test_a_good_file_becomes_its_claims_in_order():
    claims = read(GOOD)
    assert [c.id for c in claims][:3] == ["parallel-attention-dampens", "attention-contracts", "one-layer"]
    kinds = ["measured"] * 4 + ["initialization", "architecture", "wiring", "theorem", "causal", "none"]
    assert [c.evidence for c in claims] == kinds
    first = claims[0]
    assert first.test.of == ("last_gain",)
    assert (first.models.wiring, first.models.family, first.quantifier) == ("parallel", ("gptj",), "each")
    assert first.record["pythia-6.9b"].value == 0.8047
    assert claims[1].models.names == ("pythia-*", "gptj")
    assert claims[1].test.holds_region.threshold == 1.0
    assert claims[2].models.names == ("smollm2",)
    assert claims[3].test.groups["sequential"].names == ("gpt2-xl", "mistral-7b")
    assert isinstance(claims[4], InitializationClaim)


def test_a_claim_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        read(GOOD)[0].alpha = 0.5


def test_a_file_is_loaded_by_its_path(tmp_path):
    (tmp_path / "claims.yaml").write_text(GOOD, encoding="utf-8")
    assert load_claims(tmp_path / "claims.yaml") == read(GOOD)


# The hash says what decides a claim


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": "0.01"},
        {"test": test_of(predicts='"<= 1"')},
        {"test": test_of(statistic="geometric_mean")},
        {"test": test_of(norm="centred")},
        {"models": "gptj"},
        {"for_": "all"},
        {"prompts": "other"},
        {"evidence": "initialization"},
    ],
)
def test_what_changes_a_verdict_changes_the_hash(change):
    assert read(one(**change))[0].hash != read(one())[0].hash


@pytest.mark.parametrize(
    "change",
    [
        {"record": "{gptj: {value: 1}}"},
        {"source": "{document: d}"},
        {"slow": "true"},
        {"catalogue": "x", "decides": "part"},
        {"also": "[{document: d, quote: q, catalogue: y, decides: neighbour}]"},
        {"test": test_of(of="[last_gain]", predicts='" <  1"', position="last")},  # the same, in other words
        {"alpha": "0.05"},
    ],
)
def test_what_changes_no_verdict_leaves_the_hash_alone(change):
    assert read(one(**change))[0].hash == read(one())[0].hash


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"catalogue": "x"}, "`catalogue:` names 'x', but not how far it is decided; add `decides: sentence`, `part`"),
        ({"decides": "part"}, "`decides:` is of a sentence of a catalogue; add `catalogue:` or remove it"),
        ({"also": "[{document: d, quote: q, catalogue: y}]"}, "`catalogue:` names 'y', but not how far it is decided"),
        ({"also": "[{document: d, quote: q, decides: part}]"}, "`decides:` is of a sentence of a catalogue"),
        ({"catalogue": "x", "decides": "all"}, "decides"),
        (
            {"catalogue": "x", "decides": "part", "also": "[{document: d, catalogue: x, decides: sentence}]"},
            "names the sentence 'x' of the catalogue twice; keep one",
        ),
    ],
)
def test_a_claim_that_names_a_sentence_says_how_far_it_decides_it(change, words):
    with pytest.raises(BadInput, match=re.escape(words)):
        read(one(**change))


BAND = test_of(predicts='"within [0.9, 1.1]"')


def test_a_tolerance_is_justified_by_an_effect_that_is_larger_or_is_one_reading_and_changes_no_hash():
    (claim,) = read(one(test=BAND, tolerance="{effect: 0.2, why: what 0.80 lies below 1}"))
    assert (claim.tolerance.effect, [band.text for band in claim.bands]) == (0.2, ["within [0.9, 1.1]"])
    (other,) = read(one(test=BAND, tolerance="{why: chosen here}"))
    assert other.tolerance.effect is None
    assert claim.hash == other.hash == read(one(test=BAND))[0].hash


@pytest.mark.parametrize(
    ("test", "tolerance", "words"),
    [
        (BAND, "{effect: 0.1, why: w}", "half of `within [0.9, 1.1]` is no less than the effect at stake, 0.1; narrow"),
        (BAND, "{effect: 0.0144, why: w}", "or leave `effect:` out and say in `why:` which reading it is"),
        (BAND, "{effect: 0.2}", "why"),
        (BAND, "{effect: 0, why: w}", "greater than 0"),
        (test_of(), "{effect: 0.2, why: w}", "is of a band `within [a, b]` with a < b, and the test has none"),
        (test_of(predicts='"within [1, 1]"'), "{why: w}", "the test has none"),
    ],
)
def test_a_tolerance_as_large_as_the_effect_or_of_no_band_is_refused(test, tolerance, words):
    with pytest.raises(BadInput, match=re.escape(words)):
        read(one(test=test, tolerance=tolerance))


# Wrong keys and words: the line, what is known, the nearest

CLAIM_KEYS = (
    "known: alpha, also, catalogue, collection, contradicts, controls, decides, evidence, family, for, headline, id,"
    " models, multiverse, prompts, reading_of, record, slow, source, statement, test, tolerance."
)
TEST_KEYS = (
    "known: against, along, blocks, categories, coordinate, fact, first_block, first_token, groups, holds, holds_above,"
    " layer,"
    " norm, of, over, position, predicts, "
    "statistic, under."
)
SELECTOR_KEYS = (
    "known: additive, attention, d_head, d_model, except, family, heads, layers, names, norm, norms, organisation,"
    " parameters, positions, pretrained, projection_weights, revisions, rotary_fraction, twins, vocabulary, wiring."
)
EVIDENCE = "known: measured, initialization, architecture, wiring, theorem, dynamical, intervention, causal, none."
STATISTICS = f"known: {', '.join(statistics.STATISTICS)}."


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            {"evidence": "mesured"},
            f"c.yaml:5 claims[0].evidence: unknown evidence 'mesured'; {EVIDENCE} Did you mean 'measured'?",
        ),
        ({"evidence": None}, "c.yaml:3 claims[0]: the key 'evidence' is missing; write it"),
        ({"evidence": "[measured]"}, "c.yaml:5 claims[0].evidence: unknown evidence"),
        ({"evidence": "{a: 1}"}, "c.yaml:5 claims[0].evidence: unknown evidence"),
        ({"tset": "1"}, f"c.yaml:7 claims[0].tset: unknown key 'tset'; {CLAIM_KEYS} Did you mean 'test'?"),
        ({"quantifier": "all"}, f"c.yaml:7 claims[0].quantifier: unknown key 'quantifier'; {CLAIM_KEYS}"),
        ({"statement": None}, "c.yaml:3 claims[0].statement: the key 'statement' is missing; write it"),
        ({"test": None}, "c.yaml:3 claims[0].test: the key 'test' is missing; write it"),
        ({"test": test_of(of="last_gian")}, "c.yaml:6 claims[0].test.of: unknown metric 'last_gian'"),
        ({"test": test_of(of="last_gian")}, "Did you mean 'last_gain'?"),
        (
            {"test": test_of(statistic="geometric_maen")},
            f"unknown statistic 'geometric_maen'; {STATISTICS} Did you mean 'geometric_mean'?",
        ),
        (
            {"test": test_of(sattistic="mean")},
            f"claims[0].test.sattistic: unknown key 'sattistic'; {TEST_KEYS} Did you mean 'statistic'?",
        ),
        (
            {"test": test_of(position="lst")},
            "claims[0].test.position: unknown value 'lst'; known: last, all, first, whole. Did you mean 'last'?",
        ),
        (
            {"test": test_of(norm="centered")},
            "claims[0].test.norm: unknown value 'centered'; known: raw, centred. Did you mean 'centred'?",
        ),
        (
            {"for_": "al"},
            "c.yaml:7 claims[0].for: unknown value 'al'; known: each, all, any, majority, pooled. Did you mean 'all'?",
        ),
        (
            {"controls": "[initialisation]"},
            "claims[0].controls[0]: unknown value 'initialisation'; known: initialization, permuted, any-data.",
        ),
        (
            {"multiverse": "{nrom: [raw]}"},
            "nrom: unknown key 'nrom'; known: bos, chat_template, dtype, norm, position, prompts, statistic. Did"
            " you mean 'norm'?",
        ),
        ({"multiverse": "{statistic: [maen]}"}, "claims[0].multiverse.statistic: unknown statistic 'maen'"),
        (
            {"multiverse": "{dtype: [bfloat61]}"},
            "unknown value 'bfloat61'; known: float32, bfloat16, float16. Did you mean 'bfloat16'?",
        ),
        (
            {"models": "{wirin: parallel}"},
            f"claims[0].models.wirin: unknown key 'wirin'; {SELECTOR_KEYS} Did you mean 'wiring'?",
        ),
        (
            {"models": "{wiring: paralel}"},
            "models.wiring: unknown value 'paralel'; known: parallel, sequential. Did you mean 'parallel'?",
        ),
        ({"models": "{d_haed: '> 128'}"}, "models.d_haed: unknown key 'd_haed'"),
        ({"models": "{d_haed: '> 128'}"}, "Did you mean 'd_head'?"),
        ({"models": "{excpet: gptj}"}, "Did you mean 'except'?"),
        (
            {"models": "{positions: rotray}"},
            "unknown value 'rotray'; known: rotary, learned, alibi. Did you mean 'rotary'?",
        ),
        (
            {"source": "{document: d, sect: 1}"},
            "source.sect: unknown key 'sect'; known: document, quote, section. Did you mean 'section'?",
        ),
        (
            {"also": "[{document: d, qoute: q}]"},
            "c.yaml:7 claims[0].also[0].qoute: unknown key 'qoute'; known: catalogue, decides, document, quote,"
            " section.",
        ),
        ({"contradicts": "b"}, "c.yaml:7 claims[0].contradicts: unknown claim 'b'; known: a."),
        ({"contradicts": "[a]"}, "c.yaml:7 claims[0].contradicts: names itself; name another claim"),
        (
            {"record": "{gptj: {value: 1, valu: 1}}"},
            "gptj.valu: unknown key 'valu'; known: dtype, n, note, tap, value. Did you mean 'value'?",
        ),
        (
            {"record": "{measured: {valu: 1}}"},
            "claims[0].record.measured.valu: unknown key 'valu'",
        ),  # a word that is also a kind of evidence
        (
            {"test": test_of(statistic="difference_of_groups", groups="{a: {wirin: parallel}, b: gptj}")},
            f"claims[0].test.groups.a.wirin: unknown key 'wirin'; {SELECTOR_KEYS} Did",
        ),
        (
            {"evidence": "architecture", "test": '{fact: layrs, predicts: "> 1"}'},
            "claims[0].test.fact: unknown value 'layrs'",
        ),
        ({"evidence": "architecture", "test": '{fact: layrs, predicts: "> 1"}'}, "Did you mean 'layers'?"),
        (
            {"evidence": "architecture", "test": '{fatc: layers, predicts: "> 1"}'},
            "unknown key 'fatc'; known: equals, fact, predicts. Did you mean 'fact'?",
        ),
        (
            {"evidence": "wiring", "test": "{probe: mlp, equals: paralel}"},
            "unknown value 'paralel'; known: parallel, sequential, pattern, stream. Did you mean 'parallel'?",
        ),
        (
            {"evidence": "theorem", "test": "{property: triangle-inequalty}"},
            "claims[0].test.property: unknown property 'triangle-inequalty'",
        ),
        (
            {"evidence": "theorem", "test": "{property: triangle-inequalty}"},
            "Did you mean 'triangle-inequality'?",
        ),
        ({"evidence": "none", "test": None}, "claims[0].reason: the key 'reason' is missing; write it"),
        ({"evidence": "causal", "test": None}, "claims[0].needs: the key 'needs' is missing; write it"),
    ],
)
def test_a_wrong_word_is_refused_with_the_nearest_right_one(keys, expected):
    assert expected in "\n".join(problems_of(one(**keys)))


# Wrong values


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"id": "Not An Id"}, "c.yaml:3 claims[0].id: 'Not An Id' does not match"),
        ({"id": "5"}, "c.yaml:3 claims[0].id: must be text (got 5); put it in quotes"),
        ({"id": "2024-01-01"}, "c.yaml:3 claims[0].id: must be text (got 2024-01-01); put it in quotes"),
        ({"id": "x" * 81}, "c.yaml:3 claims[0].id: string should have at most 80 characters"),
        ({"statement": '""'}, "c.yaml:4 claims[0].statement: is blank; write it"),
        ({"statement": "[a]"}, "c.yaml:4 claims[0].statement: must be text (got ['a'])"),
        ({"alpha": "0.2"}, "claims[0].alpha: input should be less than or equal to 0.1 (got 0.2)"),
        ({"alpha": "0"}, "claims[0].alpha: input should be greater than 0 (got 0)"),
        ({"alpha": ".nan"}, "claims[0].alpha: input should be "),
        ({"alpha": "five"}, "claims[0].alpha: input should be a valid number"),
        ({"slow": "maybe"}, "claims[0].slow: input should be a valid boolean"),
        ({"prompts": "5"}, "claims[0].prompts: must be text (got 5)"),
        ({"models": "5"}, "claims[0].models: must be a mapping of keys (got 5)"),
        ({"models": "{d_head: 128}"}, "claims[0].models.d_head: must be text (got 128); put it in quotes"),
        ({"models": "{d_head: '128'}"}, "claims[0].models.d_head: cannot read '128'; write \"< x\", "),
        ({"family": "Not A Family"}, "claims[0].family: 'Not A Family' does not match"),
        ({"source": "abc"}, "claims[0].source: must be a mapping of keys (got 'abc')"),
        ({"record": "[1]"}, "claims[0].record: must be a mapping of keys (got [1])"),
        ({"record": "{gptj: 1.06}"}, "claims[0].record.gptj: must be a mapping of keys (got 1.06)"),
        (
            {"record": "{gptj: {value: .nan}}"},
            "claims[0].record.gptj.value: input should be a finite number (got nan)",
        ),
        (
            {"record": "{gptj: {value: .inf}}"},
            "claims[0].record.gptj.value: input should be a finite number (got inf)",
        ),
        ({"multiverse": "{norm: raw}"}, "claims[0].multiverse.norm: must be a list (got 'raw')"),
        ({"test": "mean"}, "c.yaml:6 claims[0].test: must be a mapping of keys (got 'mean')"),
        ({"test": "[mean]"}, "c.yaml:6 claims[0].test: must be a mapping of keys (got ['mean'])"),
        ({"test": test_of(of="{a: 1}")}, "claims[0].test.of: must be a list (got {'a': 1})"),
        ({"test": test_of(of="[]")}, "claims[0].test.of: is empty (got []); name at least one"),
        ({"test": test_of(of="[1]")}, "claims[0].test.of[0]: must be text (got 1); put it in quotes"),
        ({"test": test_of(predicts="5")}, "claims[0].test.predicts: must be text (got 5)"),
        ({"test": test_of(predicts='"~ 1"')}, "claims[0].test.predicts: cannot read '~ 1'; write \"< x\","),
        ({"test": test_of(predicts='"< 1e999"')}, "has a number too large to be finite"),
        ({"test": test_of(predicts='"within [2, 1]"')}, "is empty: 2 is above 1"),
        (
            {"test": test_of(of="layer_gain", layer="lsat")},
            "test.layer: unknown layer 'lsat'; known: first, last, mean, trend, greatest, least, or a number from 1.",
        ),
        (
            {"test": test_of(of="layer_gain", layer="0")},
            "test.layer: layers count from 1, and the last is `layer: last` (got 0)",
        ),
        (
            {"test": test_of(of="layer_gain", layer="-1")},
            "test.layer: layers count from 1, and the last is `layer: last` (got -1)",
        ),
        (
            {"test": test_of(of="layer_gain", layer="1.5")},
            "test.layer: unknown layer 1.5; known: first, last, mean",
        ),
        ({"evidence": "initialization", "seeds": "[-1, 1]"}, "seeds[0]: input should be greater than or equal to 0"),
        ({"multiverse": "{norm: []}"}, "c.yaml:7 claims[0].multiverse.norm: is empty (got []); name at least one"),
        ({"multiverse": "{prompts: []}"}, "claims[0].multiverse.prompts: is empty (got []); name at least one"),
        ({"models": "{names: []}"}, "claims[0].models.names: is empty (got []); name at least one"),
        ({"models": "{except: []}"}, "claims[0].models.except: is empty (got []); name at least one"),
        (
            {"evidence": "theorem", "test": "{property: triangle-inequality, examples: 0}"},
            "input should be greater than or equal to 1 (got 0)",
        ),
        ({"evidence": "initialization", "seeds": "[]"}, "claims[0].seeds: must have at least "),
        (
            {"evidence": "architecture", "test": "{fact: layers}"},
            "fact 'layers' is a number; write `predicts:`",
        ),
        ({"evidence": "architecture", "test": '{fact: layers, predicts: "> 1", equals: x}'}, "and no `equals:`"),
        (
            {"evidence": "architecture", "test": "{fact: wiring, equals: 5}"},
            "claims[0].test.equals: `equals:` is a word, or true or false (got 5)",
        ),
        (
            {"evidence": "architecture", "test": "{fact: layers, equals: 30}"},
            'of a fact that is a number write `predicts: "within [30, 30]"`',
        ),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_plain_words(keys, expected):
    problems = problems_of(one(**keys))
    assert len(problems) == 1
    assert expected in problems[0]


@pytest.mark.parametrize("evidence", ["mesured", None, "[measured]", "3"])
def test_a_wrong_evidence_hides_no_other_fault(evidence):
    faulty = {"id": "A b", "statement": "' '", "alpha": "3", "test": test_of(statistic="meen", of="last_gian")}
    problems = problems_of(one(evidence=evidence, **faulty))
    assert len(problems) == 6
    for at, words in (
        ("evidence", "evidence"),
        (".id", "does not match"),
        (".statement", "is blank"),
        (".alpha", "less than or equal to 0.1"),
        (".statistic", "Did you mean 'mean'?"),
        (".of", "Did you mean 'last_gain'?"),
    ):
        assert any(at in problem and words in problem for problem in problems), at


@pytest.mark.parametrize(
    ("keys", "supposed"),
    [
        ({"test": "{fact: layers, predicts: '> 1'}"}, "architecture"),
        ({"test": "{probe: mlp_reads_attention, equals: parallel}"}, "wiring"),
        ({"test": "{property: triangle-inequality}"}, "theorem"),
        ({"test": None, "needs": "twins"}, "causal"),
        ({"test": None, "reason": "none"}, "none"),
        ({"test": test_of(under="ablate-mlp")}, "intervention"),
        ({"evidence": "dynamic", "test": test_of(of="noise_gain", layer="last")}, "dynamical"),
    ],
)
def test_without_a_known_evidence_an_entry_is_read_as_what_it_seems_to_be(keys, supposed):
    text = one(**{"evidence": "unheard-of", **keys})
    assert supposed_evidence(yaml.safe_load(text)["claims"][0]) == supposed
    assert len(problems_of(text)) == 1


# Parts that do not fit together


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (
            test_of(statistic="share_of_prompts"),
            "'share_of_prompts' counts where something holds; add `holds:` (\"< x\",",
        ),
        (
            test_of(statistic="layers_passing", of="layer_gain"),
            "'layers_passing' counts where something holds; add `holds:`",
        ),
        (test_of(holds_above="true"), "'mean' looks for no boundary; remove `holds_above:`"),
        (test_of(holds='"< 1"'), "'mean' does not count; remove `holds:`"),
        (test_of(of="layer_gain"), "metric 'layer_gain' has one value a layer; say which: `layer: last`"),
        (test_of(of="layer_gain", layer="each"), "metric 'layer_gain' has one value a layer; say which"),
        (test_of(layer="last"), "metric 'last_gain' has one value a prompt; remove `layer:`"),
        (
            test_of(statistic="layers_passing", holds='"< 1"'),
            "looks at layers; 'last_gain' has one value a prompt",
        ),
        (
            test_of(statistic="layers_passing", of="layer_gain", holds='"< 1"', layer="last"),
            "looks at each layer; remove `layer:`",
        ),
        (test_of(statistic="pearson"), "'pearson' is of two variables; `of:` names 1: name another metric, or a"),
        (test_of(of="[last_gain, output_entropy]"), "'mean' is of one metric; `of:` names 2: remove what is over"),
        (test_of(fact="layers"), "'mean' is of one metric and takes no `fact:`; remove it, or take a statistic of two"),
        (test_of(statistic="trend"), "'trend' is of two variables; `of:` names 1: name another metric, or a number"),
        (
            test_of(statistic="pearson", of="[last_gain, output_entropy]", fact="layers"),
            "`of:` names 2 and `fact:` is one more: remove what is over",
        ),
        (
            test_of(of="output_entropy", norm="centred"),
            "'output_entropy' reads no norm, so raw and centred are one; remove `norm:`",
        ),
        (
            test_of(statistic="pearson", of="[output_entropy, top_probability]", norm="centred"),
            "'output_entropy' and 'top_probability' read no norm",
        ),
        (
            test_of(statistic="difference_of_groups"),
            "'difference_of_groups' compares two groups of models; add `groups:`",
        ),
        (
            test_of(statistic="difference_of_groups", groups="{a: gptj}"),
            "`groups:` names 1 group(s); write two",
        ),
        (
            test_of(statistic="difference_of_groups", groups="{a: gptj, b: gpt2-xl, c: opt-1.3b}"),
            "names 3 group(s); write two",
        ),
        (test_of(groups="{a: gptj, b: gpt2-xl}"), "'mean' takes no `groups:`"),
        (
            test_of(of="output_entropy", position="all"),
            "metric 'output_entropy' is read at the last token only; remove `position:`",
        ),
    ],
)
def test_parts_of_a_test_that_do_not_fit_are_refused_with_what_to_do(test, expected):
    (problem,) = problems_of(one(test=test))
    assert problem.startswith("c.yaml:6 claims[0].test: ")
    assert expected in problem


def test_a_comparison_of_groups_takes_no_models_of_its_own():
    test = test_of(statistic="difference_of_groups", groups="{a: gptj, b: gpt2-xl}")
    assert "remove `models:`" in problems_of(one(test=test, models="gptj"))[0]
    assert read(one(test=test))


@pytest.mark.parametrize(
    ("multiverse", "test", "expected"),
    [
        (
            "{statistic: [pearson]}",
            test_of(),
            "`multiverse.statistic:` 'pearson' takes other things than 'mean'",
        ),
        (
            "{statistic: [mean, share_of_prompts]}",
            test_of(),
            "'share_of_prompts' takes other things than 'mean'",
        ),
        ("{position: [last, all]}", test_of(of="output_entropy"), "is read at the last token only"),
        (
            "{statistic: [mean, ratio_of_means]}",
            test_of(of="output_entropy"),
            "metric 'output_entropy' is no ratio of two",
        ),
        ("{bos: [withuot]}", test_of(), "Did you mean 'without'?"),
        ("{norm: [raw, centred]}", test_of(of="output_entropy"), "'output_entropy' reads no norm, so raw and centred"),
    ],
)
def test_a_variation_that_the_test_cannot_take_is_refused(multiverse, test, expected):
    (problem,) = problems_of(one(test=test, multiverse=multiverse))
    assert expected in problem


@pytest.mark.parametrize(
    "test",
    [
        test_of(statistic="pearson", of="[last_gain, output_entropy]"),
        test_of(statistic="difference_of_groups", groups="{a: gptj, b: gpt2-xl}"),
    ],
)
def test_what_has_pairs_or_groups_may_be_permuted(test):
    assert read(one(test=test, controls="[initialization, permuted, any-data]"))


def test_a_control_that_has_nothing_to_shuffle_is_refused():
    (problem,) = problems_of(one(test=test_of(), controls="[permuted]"))
    assert "statistic 'mean' has neither, so remove it" in problem
    categories = test_of(statistic="difference_of_categories", categories="{a: Novel, b: Factual}")
    (problem,) = problems_of(one(test=categories, controls="[permuted]"))
    assert "shuffles pairs of two metrics, or models between groups" in problem
    assert "'difference_of_categories' compares prompts by category, so remove it" in problem


def test_a_norm_is_centred_where_one_of_the_metrics_has_one():
    assert read(one(test=test_of(statistic="pearson", of="[last_gain, output_entropy]", norm="centred")))
    assert read(one(test=test_of(), multiverse="{norm: [raw, centred]}"))


def test_a_ratio_of_means_is_of_a_ratio():
    assert read(one(test=test_of(statistic="ratio_of_means")))
    (problem,) = problems_of(one(test=test_of(statistic="ratio_of_means", of="output_entropy")))
    assert "divides lengths; metric 'output_entropy' is no ratio of two" in problem


# The file as a whole


@pytest.mark.parametrize("text", ["", "# only a comment\n", "- id: a\n", "claims\n", "5\n", "~\n"])
def test_a_file_that_is_no_mapping_is_told_what_it_must_be(text):
    assert problems_of(text) == [
        "c.yaml:1 must be a mapping with `schema: 1` and `claims:`; see docs/adding-a-claim.md"
    ]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("", "schema: found nothing; this version reads `schema: 1`"),
        ("schema: 2\n", "schema: found 2; this version reads `schema: 1`"),
        ('schema: "1"\n', "schema: found '1'; this version reads `schema: 1`"),
        ("schema: true\n", "schema: found True; this version reads `schema: 1`"),
        ("schema: ~\n", "schema: found None; this version reads `schema: 1`"),
        (
            "scehma: 1\n",
            "scehma: unknown key 'scehma'; known: claims, collection, include, schema. Did you mean 'schema'?",
        ),
    ],
)
def test_the_schemas_version_must_be_said(head, expected):
    assert any(expected in line for line in problems_of(head + one().partition("\n")[2]))


@pytest.mark.parametrize("claims", ["", " []", " {}", " a", " 5"])
def test_a_file_holds_at_least_one_claim(claims):
    assert problems_of(f"schema: 1\nclaims:{claims}\n") == ["c.yaml:2 claims: must be a list of at least one claim"]


def test_an_entry_that_is_no_mapping_is_refused_at_its_line():
    problems = problems_of("schema: 1\nclaims:\n  - text\n  - 5\n  - ~\n  - [a]\n")
    assert problems == [
        f"c.yaml:{3 + i} claims[{i}]: must be a mapping of keys (got {shown})"
        for i, shown in enumerate(["'text'", "5", "None", "['a']"])
    ]


def test_every_problem_of_a_file_is_named_at_once():
    text = GOOD.replace('predicts: "< 1"', 'predicts: "<> 1"').replace("fact: layers", "fact: layrs")
    text = text.replace("id: one-layer", "id: attention-contracts").replace("needs: twins", "nedes: twins")
    found = [re.match(r"c\.yaml:(\d+) (\S+?):", line).groups() for line in problems_of(text + "claim: []\n")]
    assert sorted(found, key=lambda at: int(at[0])) == [
        ("12", "claims[0].test.predicts"),
        ("27", "claims[2].id"),  # repeated
        ("45", "claims[5].test.fact"),
        ("48", "claims[8].needs"),
        ("48", "claims[8].nedes"),
        ("50", "claim"),
    ]


def test_a_repeated_id_is_named_with_the_first():
    twice = one() + one().partition("claims:\n")[2]
    assert problems_of(twice) == ["c.yaml:7 claims[1].id: 'a' is already the id at c.yaml:3; ids are unique"]


def test_a_reading_of_no_claim_is_refused_with_the_nearest():
    text = GOOD.replace("reading_of: parallel-attention-dampens", "reading_of: paralel-attention-dampens")
    (problem,) = problems_of(text)
    assert problem.startswith("c.yaml:20 claims[1].reading_of: unknown claim 'paralel-attention-dampens'")
    assert problem.endswith("Did you mean 'parallel-attention-dampens'?")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (one(id="a\n    id: b"), "c.yaml:4 repeats the key 'id' of line 3; keep one of the two"),
        (one(statement="!!python/object/apply:os.system [true]"), "c.yaml:4 uses the tag"),
        (one(test="&t {a: 1}"), "c.yaml:6 uses an anchor or alias"),
        (one(test="{a: " * 40 + "}" * 40), "c.yaml:6 nests deeper than 30 levels"),
        (
            one(test="\n      statistic: mean\n      predicts: > 1"),
            "put text that begins with > or | in quotes",
        ),
        (one(alpha="\t1"), "c.yaml:7 is not YAML"),
    ],
)
def test_what_yaml_may_not_do_is_refused_at_its_line(text, expected):
    assert expected in "\n".join(problems_of(text))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfe", "not UTF-8 text"),
        (b"\x7fELF\x02\x01\x01\x00", "is not YAML: unacceptable character"),
        (b"#" * 5 * 1024 * 1024, "5242880 bytes; at most"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, expected):
    (tmp_path / "claims.yaml").write_bytes(content)
    with pytest.raises(BadInput, match=expected):
        load_claims(tmp_path / "claims.yaml")


def test_a_folder_or_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="not a file"):
        load_claims(tmp_path)
    with pytest.raises(BadInput, match="no such file; check the path, or write one as docs/adding-a-claim"):
        load_claims(tmp_path / "absent.yaml")


scalars = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "mean", "< 1", "gptj", "all"])
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "value", "names", "statistic", "of"]), inner, max_size=2)
    ),
    max_leaves=4,
)
keys = [
    "id",
    "statement",
    "evidence",
    "models",
    "for",
    "prompts",
    "test",
    "controls",
    "multiverse",
    "record",
    "alpha",
]
kinds = ["measured", "initialization", "architecture", "wiring", "theorem", "causal", "none"]


@given(
    st.sampled_from(kinds),
    st.dictionaries(st.sampled_from([*keys, "seeds", "needs", "oops"]), anything, max_size=4),
)
def test_whatever_stands_in_a_claim_is_accepted_or_refused_in_plain_words(kind, replaced):
    claim = {"id": "a", "statement": "s", "evidence": kind, **replaced}
    text = yaml.safe_dump({"schema": 1, "claims": [json.loads(json.dumps(claim))]})
    try:
        read(text)
    except BadInput as error:
        check_style(str(error))


# The schema that is published for editors


def test_the_published_schema_is_that_of_the_code():
    published = SCHEMA_FILE.read_text(encoding="utf-8")
    models = load_registry(ROOT / "fixtures" / "models.yaml")
    assert published == schema_text(models), "write it anew: refutable schema > docs/claims.schema.json"


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_schema_accepts_a_good_file():
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(GOOD))


@pytest.mark.parametrize(
    "text",
    [
        one(tset="1"),
        one(test=test_of(sattistic="mean")),
        one(record="{gptj: {value: 1, valu: 1}}"),
        one(models="{wirin: parallel}"),
        one(evidence="mesured"),
        one(statement=None),
        one(alpha="0.7"),
        one(models="5"),
        one() + "more: 1\n",
        one().replace("schema: 1", "schema: 2"),
        "schema: 1\nclaims: []\n",
        "[]",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text):
    assert problems_of(text)
    assert [*jsonschema.Draft202012Validator(json_schema()).iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize(
    "keys",
    [
        {"test": test_of(statistic="meen")},
        {"test": test_of(of="last_gian")},
        {"test": test_of(of="[last_gain, output_entrpy]", statistic="pearson")},
        {"test": test_of(predicts='"1 <"')},
        {"test": test_of(predicts='"within [0, 1"')},
        {"test": test_of(statistic="share_of_prompts", holds='"= 1"')},
        {"models": "gptk"},
        {"models": "{names: [gptk]}"},
        {"models": "{family: gptk}"},
        {"models": "{except: gptk}"},
        {"prompts": "grand-unified-26"},
        {"multiverse": "{prompts: [no-such-set]}"},
        {"multiverse": "{statistic: [meen]}"},
        {"record": "{gptk: {value: 1}}"},
        {"evidence": "theorem", "test": "{property: triangel-inequality}"},
    ],
)
def test_the_schema_knows_names_and_the_grammar_of_predictions(keys):
    """Editors underline what a run would refuse."""
    assert [*jsonschema.Draft202012Validator(json_schema()).iter_errors(yaml.safe_load(one(**keys)))]


@pytest.mark.parametrize(
    "keys",
    [
        {"models": "'pythia-*'"},
        {"models": "[gptj, smollm2]"},
        {"models": "{names: [gptj], except: 'pythia-*', family: gpt_neox}"},
        {"prompts": "mine.txt"},
        {"prompts": "folder/mine"},
        {"test": test_of(of="[last_gain]", predicts='" <=  -1.5e-3 "')},
        {"record": "{gptj: {value: 1}}"},
    ],
)
def test_the_schema_accepts_globs_paths_and_every_way_to_write_a_prediction(keys):
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(one(**keys)))


def test_the_schema_says_what_each_name_is():
    metric = json_schema()["$defs"]["MetricName"]["anyOf"]
    (found,) = (each["description"] for each in metric if each["const"] == "rank_gain")
    assert found == "Effective rank of the states of a prompt's tokens after each block over that before (pass rank)"


# Claims about dynamics and interventions: a test where a pass decides them, else what they need

NOISE = '{statistic: mean, of: noise_gain, layer: last, predicts: "< 1"}'
KEPT = '{statistic: mean, of: top_token_kept, under: skip-block, blocks: last, predicts: "> 0.5"}'
ABLATED = '{statistic: mean, of: last_gain, under: ablate-mlp, blocks: last, against: plain, predicts: "< 0"}'


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"evidence": "dynamical", "test": NOISE}, "DynamicalClaim"),
        ({"evidence": "intervention", "test": ABLATED}, "InterventionClaim"),
        ({"evidence": "dynamical", "test": None, "needs": "more"}, "PendingPassClaim"),
        ({"evidence": "intervention", "test": None, "needs": "more"}, "PendingPassClaim"),
        ({"evidence": "initialization", "test": NOISE}, "InitializationClaim"),
    ],
)
def test_a_claim_with_a_test_is_measured_and_one_without_says_what_it_needs(keys, kind):
    (claim,) = claims_from(parse_yaml(one(**keys), "c.yaml"))
    assert type(claim).__name__ == kind
    json_again = json.loads(claim.model_dump_json(by_alias=True, exclude_unset=True))
    jsonschema.validate({"schema": 1, "claims": [json_again]}, json_schema())


@pytest.mark.parametrize(
    ("more", "blocks", "other"),
    [
        ("blocks: [2, 5]", (2, 5), None),
        ("blocks: 2-5", (2, 3, 4, 5), None),
        ("blocks: later-half", "later-half", None),
        ("blocks: 3, against: {blocks: 2-4}", 3, ("skip-block", (2, 3, 4), None)),
        ("blocks: 3, against: {under: swap-blocks}", 3, ("swap-blocks", 3, None)),
        ("blocks: 3, against: {under: shuffle-tokens}", 3, ("shuffle-tokens", "all", None)),
    ],
)
def test_blocks_are_words_numbers_and_rows_of_numbers_and_an_intervention_is_held_against_another(more, blocks, other):
    text = one(evidence="intervention", test=KEPT.replace("blocks: last", more))
    (claim,) = claims_from(parse_yaml(text, "c.yaml"))
    assert claim.test.blocks == blocks
    assert (claim.test.other_reading and claim.test.other_reading.change) == other
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(text))


def test_a_coordinate_goes_with_the_changes_of_one_and_with_no_other():
    zeroed = KEPT.replace("skip-block", "zero-coordinate, coordinate: 7, against: {under: mean-coordinate}")
    (claim,) = claims_from(parse_yaml(one(evidence="intervention", test=zeroed), "c.yaml"))
    assert claim.test.other_reading.change == ("mean-coordinate", "last", 7)
    skipped = zeroed.replace("mean-coordinate", "skip-block")
    (claim,) = claims_from(parse_yaml(one(evidence="intervention", test=skipped), "c.yaml"))
    assert claim.test.other_reading.change == ("skip-block", "last", None)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"evidence": "dynamical", "test": NOISE, "needs": "x"}, "this claim has a `test:`; remove one"),
        ({"evidence": "dynamical"}, "'last_gain' is read from one plain pass; write `evidence: measured`"),
        ({"evidence": "measured", "test": NOISE}, "follows changes, not prompts alone; write `evidence: dynamical`"),
        ({"evidence": "measured", "test": ABLATED}, "write `evidence: intervention`"),
        ({"evidence": "initialization", "test": ABLATED}, "write `evidence: intervention`"),
        ({"evidence": "dynamical", "test": ABLATED}, "write `evidence: intervention`"),
        ({"evidence": "intervention"}, "an intervention says what is changed; add `under:` to `test:` (one of ablate-"),
        (
            {"evidence": "intervention", "test": ABLATED.replace("ablate-mlp", "ablate-mpl")},
            "claims[0].test.under: unknown value 'ablate-mpl'; known: ablate-attention, ablate-mlp,",
        ),
        (
            {"evidence": "intervention", "test": ABLATED.replace("under: ablate-mlp, ", "")},
            "`blocks:` belongs to an intervention; add `under:`",
        ),
        (
            {"evidence": "intervention", "test": ABLATED.replace("ablate-mlp", "keep-norm")},
            "no block closes and 'last_gain' cannot be believed; name a metric of the pass 'loss'",
        ),
        (
            {"evidence": "intervention", "test": ABLATED.replace("ablate-mlp", "skip-block")},
            "or 'agreement' (top_token_kept)",
        ),
        (
            {"evidence": "intervention", "test": KEPT.replace("skip-block", "swap-blocks")},
            "exchanges one block with the next; write `blocks: middle`, `first` or a number",
        ),
        (
            {"evidence": "intervention", "test": KEPT.replace("blocks: last", "blocks: mid")},
            "unknown blocks 'mid'; known: all, first, middle, last, earlier-half, later-half, a number from 1, or"
            " several, the lowest first: [16, 17] or 16-30. Did you mean 'middle'?",
        ),
        (
            {"evidence": "intervention", "test": KEPT.replace("blocks: last", "blocks: [3, 2]")},
            "blocks [3, 2]: write each once, the lowest first",
        ),
        (
            {"evidence": "intervention", "test": KEPT.replace("blocks: last", "blocks: 30-16")},
            "unknown blocks '30-16'; known: all, first,",
        ),
        (
            {"evidence": "intervention", "test": KEPT.replace("skip-block, blocks: last", "swap-blocks, blocks: 2-3")},
            "exchanges one block with the next; write `blocks: middle`, `first` or a number",
        ),
        (
            {"evidence": "intervention", "test": KEPT.replace("predicts", "against: {blocks: last}, predicts")},
            "`against: {blocks: last}` is the test's own reading; name another",
        ),
        (
            {"evidence": "intervention", "test": KEPT.replace("blocks: last,", "against: {blocks: all},")},
            "`against:` names the test's own intervention; name another",
        ),
        (
            {"evidence": "intervention", "test": KEPT.replace("predicts", "against: {under: swap-blocks}, predicts")},
            "in what `against:` names: `under: swap-blocks` exchanges one block with the next",
        ),
        (
            {
                "evidence": "intervention",
                "test": KEPT.replace("predicts", "against: {under: mean-coordinate}, predicts"),
            },
            "in what `against:` names: `under: mean-coordinate` and `coordinate:` belong together",
        ),
        (
            {"evidence": "intervention", "test": ABLATED.replace("against: plain", "against: {under: skip-block}")},
            "in what `against:` names: `under: skip-block` changes what a block gives",
        ),
        (
            {
                "evidence": "measured",
                "test": ABLATED.replace(
                    "under: ablate-mlp, blocks: last, against: plain", "against: {under: ablate-mlp}"
                ),
            },
            "holds one intervention against another; write `evidence: intervention` and add `under:`",
        ),
        (
            {"evidence": "intervention", "test": KEPT.replace("skip-block", "zero-coordinate")},
            "`coordinate:` belong together: a number from 0",
        ),
        (
            {"evidence": "intervention", "test": KEPT.replace("predicts", "against: plain, predicts")},
            "holds the changed model against the model as it is already; remove `against:`",
        ),
        (
            {"evidence": "measured", "test": KEPT.replace("under: skip-block, blocks: last, ", "")},
            "holds a changed model against the model as it is; write `evidence: intervention` and add `under:`",
        ),
        (
            {"evidence": "intervention", "test": ABLATED.replace("ablate-mlp", "shuffle-tokens")},
            "changes what is read, not a block; remove `blocks:`",
        ),
        (
            {"evidence": "wiring", "models": "gptj", "test": "{probe: stream_reads_rotation, equals: parallel}"},
            "probe 'stream_reads_rotation' never sees 'parallel'; known: pattern, stream",
        ),
        (
            {"evidence": "intervention", "test": NOISE.replace("}", ", under: ablate-mlp}")},
            "metric 'noise_gain' is read from the pass 'perturbation', which is made of the model as it is",
        ),
        (
            {"evidence": "intervention", "test": ABLATED.replace("statistic: mean", "statistic: geometric_mean")},
            "differences have no geometric mean",
        ),
        (
            {"evidence": "intervention", "test": ABLATED.replace("last_gain", "prompt_length")},
            "'prompt_length' is the same under any intervention",
        ),
        (
            {"evidence": "dynamical", "test": NOISE.replace("}", ", position: all}")},
            "metric 'noise_gain' is read at the last token only",
        ),
    ],
)
def test_a_test_that_belongs_to_another_kind_is_refused_with_the_fix(keys, expected):
    assert expected in "\n".join(problems_of(one(**keys)))


BY_CATEGORY = 'statistic: share_between_categories, of: last_gain, predicts: "> 0.01"'


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [
        ("initialization", "    seeds: [0, 1, 2, 3, 4, 5]\n", "the seed is the unit of replication here"),
        ("measured", "    for: pooled\n", "is not of one value a model"),
        ("measured", "    multiverse: {position: [last, whole]}\n", "unknown value 'whole'; known: last, all, first"),
    ],
)
def test_what_is_of_categories_of_prompts_is_of_no_seeds_and_no_models_and_a_matrix_is_no_variation(kind, more, why):
    text = f"schema: 1\nclaims:\n  - id: c\n    statement: s\n    evidence: {kind}\n    models: [tiny-gpt2]\n{more}"
    with pytest.raises(BadInput) as caught:
        claims_from(parse_yaml(f"{text}    test: {{{BY_CATEGORY}}}\n", "claims.yaml"))
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("first_token: with", "`position: last` of 'layer_gain' is one token, and none is changed"),
        ("first_token: maybe", "unknown value 'maybe'; known: with, without"),
        ("layer: last, first_block: without", "`first_block:` belongs to several layers"),
    ],
)
def test_a_first_token_or_block_that_is_not_among_several_is_refused(more, why):
    layer = "" if "layer" in more else "layer: mean, "
    test = f'{{statistic: mean, of: layer_gain, {layer}{more}, predicts: "> 1"}}'
    assert why in "\n".join(problems_of(one(test=test)))


@pytest.mark.parametrize(
    "test",
    [
        'of: layer_gain, layer: mean, first_block: without, position: all, first_token: with, predicts: "> 1"',
        'of: effective_rank, layer: last, first_token: with, predicts: "> 1"',
        'of: write_reach, first_token: without, predicts: "> 0.1"',
    ],
)
def test_the_first_token_and_block_can_be_chosen(test):
    assert read(one(test=f"{{statistic: mean, {test}}}"))


def test_an_intervention_can_spare_the_first_token():
    test = '{statistic: mean, of: next_token_loss, under: never-shorten, first_token: without, predicts: "> 1"}'
    assert read(one(evidence="intervention", test=test))


# Another reading of the same weights, and a slope over layers


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (test_of(against="{norm: raw}"), "`against: {norm: raw}` is the test's own reading; name another"),
        (test_of(against="{norm: centred, position: all}"), "is held against one thing; write {model: NAME}"),
        (test_of(of="output_entropy", against="{norm: centred}"), "reads no norm, so raw and centred are one"),
        (test_of(of="output_entropy", against="{position: all}"), "is read at the last token only; remove `against:`"),
        (test_of(against="{layer: first}"), "holds one layer against another; name one as `layer:`"),
        (test_of(of="layer_gain", layer="last", against="{layer: each}"), "holds one layer against another"),
        (
            test_of(against="centred"),
            "must be plain, {model: NAME}, {revision: NAME}, {dtype: bfloat16}, {norm: centred}",
        ),
        (test_of(statistic="geometric_mean", of="layer_gain", layer="trend"), "a slope over layers, which may be"),
        (test_of(layer="trend"), "metric 'last_gain' has one value a prompt; remove `layer:`"),
    ],
)
def test_a_reading_that_cannot_be_is_refused_in_one_sentence(test, expected):
    (problem,) = problems_of(one(test=test))
    assert expected in problem


@pytest.mark.parametrize(("key", "value"), [("norm", "centred"), ("position", "all")])
def test_what_is_compared_already_is_no_variation(key, value):
    text = one(test=test_of(against=f"{{{key}: {value}}}"), multiverse=f"{{{key}: [{value}]}}")
    (problem,) = problems_of(text)
    assert f"`against:` compares readings by `{key}:` already" in problem


def test_the_other_reading_is_the_test_read_so():
    (claim,) = read(one(test=test_of(of="layer_gain", layer="last", position="all", against="{layer: 2}")))
    other = claim.test.other_reading
    assert (other.layer, other.position, other.against) == (2, "all", None)
    assert claim.test.readings == (claim.test, other)
    assert claim.other_model is None
    assert read(one())[0].test.other_reading is None
