"""Two models on the same prompts, and one model in two dtypes, tried as a user tries them."""

from __future__ import annotations

import pytest

from .conftest import Suite

CLAIMS = """\
schema: 1
claims:
  - id: gpt2-grows-more
    statement: The last block of the one lengthens the stream more than that of the other, on the same prompt.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: last_gain, against: {model: tiny-llama}, predicts: "> 0"}
    controls: [initialization]
  - id: llama-grows-more
    statement: The other way round.
    evidence: measured
    models: tiny-llama
    test: {statistic: mean, of: last_gain, against: {model: tiny-gpt2}, predicts: "> 0"}
    contradicts: [gpt2-grows-more]
  - id: like-gptj
    statement: It does as GPT-J does.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: last_gain, against: {model: gptj}, predicts: "within [-1, 1]"}
  - id: bfloat16-will-do
    statement: No prompt minds.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: share_of_prompts, over: these_categories, of: last_gain, against: {dtype: bfloat16},
      holds: "within [-0.1, 0.1]", predicts: ">= 0.8"}
  - id: bfloat16-is-exact
    statement: Every prompt is as it was.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: share_of_prompts, over: these_categories, of: last_gain, against: {dtype: bfloat16},
      holds: "within [0, 0]", predicts: ">= 0.8"}
"""


def test_pairs_of_models_and_of_dtypes_are_decided_and_say_what_is_paired(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIMS)
    run = suite.pytest()
    verdicts = run.verdicts
    assert {verdicts["gpt2-grows-more-tiny-gpt2"], verdicts["llama-grows-more-tiny-llama"]} == {"SUPPORTED", "REFUTED"}
    assert verdicts["like-gptj-tiny-gpt2"] == "NOT_MEASURED"
    assert verdicts["bfloat16-will-do-tiny-gpt2"] == "SUPPORTED"
    assert verdicts["bfloat16-is-exact-tiny-gpt2"] == "REFUTED"
    rows = {row["id"]: row for row in run.json["verdicts"]}
    one, other = rows["gpt2-grows-more-tiny-gpt2"], rows["llama-grows-more-tiny-llama"]
    assert one["estimate"]["value"] == -other["estimate"]["value"]
    assert one["estimate"]["unit"] == "category"
    assert "both read the same prompts" in one["why"]
    assert len(one["traces"]) == 2
    assert "gptj was not selected" in rows["like-gptj-tiny-gpt2"]["why"]
    assert "--model gptj" in rows["like-gptj-tiny-gpt2"]["why"]
    dtypes = rows["bfloat16-will-do-tiny-gpt2"]
    assert dtypes["weights"]["dtype"] == "float32"
    assert dtypes["weights"]["passes"] == "forward, held against bfloat16"
    assert "minus itself in bfloat16" in dtypes["why"]


READINGS = """\
schema: 1
claims:
  - id: own
    statement: The test as it is read.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: layer_gain, layer: last, predicts: "> 0"}
  - id: centred
    statement: The same, centred.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: layer_gain, layer: last, norm: centred, predicts: "> 0"}
  - id: everywhere
    statement: The same at all tokens.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: layer_gain, layer: last, position: all, predicts: "> 0"}
  - id: first
    statement: The same in the first block.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: layer_gain, layer: first, predicts: "> 0"}
  - id: against-centred
    statement: Centring moves it.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: layer_gain, layer: last, against: {norm: centred}, predicts: "> 0"}
  - id: against-everywhere
    statement: It is greater at the last token.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: layer_gain, layer: last, against: {position: all}, predicts: "> 0"}
  - id: against-first
    statement: The last block lengthens the stream more than the first.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: layer_gain, layer: last, against: {layer: first}, predicts: "> 0"}
  - id: falls-with-depth
    statement: The gain falls with depth.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: layer_gain, layer: trend, predicts: "< 0"}
"""


def test_another_reading_is_subtracted_and_a_slope_over_layers_has_a_sign(suite: Suite) -> None:
    suite.write("claims.yaml", READINGS)
    run = suite.pytest()
    rows = {row["claim"]: row for row in run.json["verdicts"]}
    assert "ERROR" not in run.verdicts.values(), run.text
    value = {name: row["estimate"]["value"] for name, row in rows.items()}
    for other in ("centred", "everywhere", "first"):
        held = rows[f"against-{other}"]
        assert value[f"against-{other}"] == pytest.approx(value["own"] - value[other], abs=1e-12)
        assert held["verdict"] == ("SUPPORTED" if held["estimate"]["low"] > 0 else held["verdict"])
        assert "minus itself with `" in held["why"]
    assert not any("norm centred" in name for name in rows["against-centred"]["variations"])
    assert "first_token without" not in str(rows["own"]["variations"])
    assert "first_token with" in rows["against-everywhere"]["variations"]
    assert rows["against-first"]["weights"]["passes"] == "forward, held against layer: first"
    assert "first_block without" in rows["falls-with-depth"]["variations"]
    assert value["falls-with-depth"] * (value["own"] - value["first"]) >= 0
