"""Published tables: every format, foreign columns, layers, single values, and the documents' own measurements."""

from __future__ import annotations

import csv
import io
import json
import math
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import RECORDED, ROOT

from refutable._util.strict_yaml import parse_yaml
from refutable.claims.cases import cases_of
from refutable.claims.file import claims_from
from refutable.errors import BadInput, NotMeasured, Undecidable
from refutable.evidence.measured import judge_measured
from refutable.evidence.published.read import read_table
from refutable.models.registry import load_registry
from refutable.prompts.find import load_prompts
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict

REGISTRY = load_registry()
PROMPTS = load_prompts("grand-unified-25")
PAGE = (ROOT / "docs" / "published-tables.md").read_text(encoding="utf-8")
SCALING = PAGE.partition("```yaml\n")[2].partition("```")[0]  # the mapping that the page shows


def claim_of(test: str, models: str, more: str = "for: all") -> Any:
    text = (
        "schema: 1\nclaims:\n  - id: c\n    statement: s\n    evidence: measured\n"
        f"    models: {models}\n    {more}\n    test: {test}\n"
    )
    (claim,) = claims_from(parse_yaml(text, "claims.yaml"))
    return claim.model_copy(update={"quantifier": "each"})


def judged(path: Path, model: str, test: str, mapping: Path | None = None) -> Judgement:
    """Judge a claim on a table as a run does, without pytest around it."""
    claim = claim_of(test, f"[{model}]")
    (case,) = cases_of([claim.model_copy(update={"quantifier": "all"})], REGISTRY, "claims.yaml")
    return judge_measured(claim, case.models, source_of(path, mapping))


def source_of(path: Path, mapping: Path | None) -> Any:
    from refutable.evidence.sample_source import SampleSource
    from refutable.models.device import Device
    from refutable.models.selection import Selection

    table = read_table(path, REGISTRY, mapping)
    return SampleSource(Selection(REGISTRY, Device("cpu", "CPU", 1)), SimpleNamespace(), SimpleNamespace(), table)


def written(tmp_path: Path, rows: list[dict[str, Any]], kind: str) -> Path:
    path = tmp_path / f"table.{kind}"
    match kind:
        case "csv":
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
            path.write_text(text.getvalue(), encoding="utf-8")
        case "json":
            path.write_text(json.dumps(rows), encoding="utf-8")
        case "columns.json":
            path.write_text(json.dumps({name: [row[name] for row in rows] for name in rows[0]}), encoding="utf-8")
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def mapped(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "map.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def a_test(statistic: str, of: str, predicts: str, **more: str) -> str:
    extra = "".join(f", {name}: {value!r}" for name, value in more.items())
    return f"{{statistic: {statistic}, of: {of}, predicts: {predicts!r}{extra}}}"


MEAN = a_test("mean", "last_gain", "> 1")
KINDS = ("csv", "json", "columns.json", "jsonl", "parquet")

# The documents' own tables


def recorded(name: str) -> Path:
    return RECORDED / name


@pytest.mark.documents
def test_gpt_j_amplifies_as_recorded() -> None:
    found = judged(recorded("gptj_parallel_test.csv"), "gptj", MEAN)
    assert found.verdict is Verdict.SUPPORTED
    assert (round(found.estimate.value, 4), found.estimate.n, found.estimate.unit) == (1.0652, 25, "prompt")
    assert found.estimate.p == pytest.approx(0.00066, abs=5e-6)  # t = 3.633, 24 degrees of freedom
    assert judged(recorded("gptj_parallel_test.csv"), "gptj", MEAN.replace(">", "<")).verdict is Verdict.REFUTED


@pytest.mark.documents
def test_pythia_dampens_as_recorded() -> None:
    found = judged(recorded("thermodynamic_benchmark.csv"), "pythia-6.9b", MEAN.replace(">", "<"))
    assert (found.verdict, round(found.estimate.value, 4)) == (Verdict.SUPPORTED, 0.8047)


@pytest.mark.documents
def test_a_negative_correlation_of_gain_and_entropy_is_not_supported_on_pythia() -> None:
    test = a_test("pearson", "[last_gain, output_entropy]", "< 0")
    found = judged(recorded("thermodynamic_benchmark.csv"), "pythia-6.9b", test)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.estimate.value == pytest.approx(0.199, abs=5e-4)


@pytest.mark.documents
def test_attention_contracts_in_31_of_32_recorded_layers_which_is_below_97_percent(tmp_path: Path) -> None:
    share = a_test("layers_passing", "attention_gain", ">= 0.97", holds="< 1", position="all")
    table = recorded("scaling_law_multi_pythia.json")
    found = judged(table, "pythia-6.9b", share, mapped(tmp_path, SCALING))
    assert found.verdict is Verdict.REFUTED
    assert (found.estimate.value, found.estimate.n, found.estimate.unit) == (31 / 32, 32, "census")
    assert (found.estimate.low, found.estimate.level, found.estimate.p) == (None, None, None)
    assert "31 of 32 layers" in found.why
    assert "true of these recorded values only; no replicate was at hand" in found.why
    assert judged(table, "pythia-70m", share, mapped(tmp_path, SCALING)).verdict is Verdict.SUPPORTED  # 6 of 6


@pytest.mark.documents
def test_what_the_recorded_norms_are_of_is_kept_apart(tmp_path: Path) -> None:
    share = a_test("layers_passing", "attention_gain", ">= 0.97", holds="< 1")  # at the last token: not recorded
    table = recorded("scaling_law_multi_pythia.json")
    with pytest.raises(NotMeasured, match=r"holds raw norms of all tokens but the first, not raw of the last token"):
        judged(table, "pythia-6.9b", share, mapped(tmp_path, SCALING))


@pytest.mark.documents
def test_the_penultimate_gain_is_mapped_to_its_own_layer_and_is_no_last_gain(tmp_path: Path) -> None:
    table = recorded("pythia_family_penultimate.json")
    text = (
        "records: models\nmodel: model\nmodels: {pythia-70m: null, pythia-160m: null, pythia-410m: null,"
        " pythia-1b: null, pythia-1.4b: null, pythia-2.8b: null}\nmetrics:\n"
        "  layer_gain: {column: residual_gain_all, list: prompts, layer: 31}\n"
    )
    at = a_test("mean", "layer_gain", "< 1", layer="31").replace("'31'", "31")
    found = judged(table, "pythia-6.9b", at, mapped(tmp_path, text))
    assert (found.estimate.n, found.estimate.value) == (25, pytest.approx(0.9940737496721276, abs=1e-12))
    with pytest.raises(NotMeasured, match="no layer 32 of layer_gain"):
        judged(table, "pythia-6.9b", at.replace("31", "last"), mapped(tmp_path, text))
    with pytest.raises(NotMeasured, match="no column for last_gain"):
        judged(table, "pythia-6.9b", MEAN, mapped(tmp_path, text))


@pytest.mark.documents
def test_a_json_of_records_under_a_key_says_which_key() -> None:
    with pytest.raises(BadInput, match="seem to stand under 'models': say `records: models`"):
        read_table(recorded("scaling_law_multi_pythia.json"), REGISTRY)


# Every format says the same


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_numbers(tmp_path: Path, kind: str) -> None:
    rows = [{"Model": "GPT-J-6B", "Category": "a", "Prompt": f"p {i}", "Last_Gain": 1.05 + i / 100} for i in range(10)]
    found = judged(written(tmp_path, rows, kind), "gptj", MEAN)
    assert found.verdict is Verdict.SUPPORTED
    assert found.estimate.value == pytest.approx(1.095, abs=1e-12)  # mean of 1.05, 1.06, ..., 1.14
    assert found.estimate.n == 10


@given(values=st.lists(st.floats(0.01, 100), min_size=2, max_size=8), kind=st.sampled_from(KINDS))
def test_values_survive_every_format_bit_for_bit(tmp_path_factory: Any, values: list[float], kind: str) -> None:
    rows = [{"Model": "gptj", "Prompt": str(i), "Last_Gain": value} for i, value in enumerate(values)]
    path = written(tmp_path_factory.mktemp("t"), rows, kind)
    sample = read_table(path, REGISTRY).sample("last_gain", "gptj", claim_of(MEAN, "[gptj]").test, PROMPTS)
    assert sample.values.tolist() == values


def test_foreign_columns_are_read_through_a_mapping(tmp_path: Path) -> None:
    rows = [{"llm": "our J", "text": f"p {i}", "G": 0.9 + i / 100, "Last_Gain": 5} for i in range(5)]
    text = "model: llm\nmodels: {our J: gptj}\nprompt: text\nmetrics: {last_gain: G}\nnote: ours\n"
    found = judged(written(tmp_path, rows, "csv"), "gptj", MEAN, mapped(tmp_path, text))
    assert found.estimate.value == pytest.approx(0.92)


def test_a_model_that_is_not_in_it_is_not_measured(tmp_path: Path) -> None:
    path = written(tmp_path, [{"Model": name, "Last_Gain": 1.0} for name in ("gptj", "gpt2")], "csv")
    with pytest.raises(NotMeasured, match=r"not in table\.csv, which has rows of gptj, gpt2"):
        judged(path, "smollm2", MEAN)


def test_a_table_of_one_model_needs_no_column_for_it(tmp_path: Path) -> None:
    rows = [{"G": 0.9 + i / 100} for i in range(5)]
    mapping = mapped(tmp_path, "only_model: gptj\nmetrics: {last_gain: G}\n")
    found = judged(written(tmp_path, rows, "parquet"), "gptj", MEAN, mapping)
    assert found.estimate.n == 5


# Layers


def layers_table(prompts: int, layers: int = 28, first: int = 1) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {"Model": "gptj", "Prompt": f"p {p}", "Layer": layer + first, "attention_gain": float(rng.uniform(0.2, 0.6))}
        for p in range(prompts)
        for layer in range(layers)
    ]


SHARE = a_test("layers_passing", "attention_gain", ">= 0.97", holds="< 1")


def test_a_table_of_layers_with_prompts_has_prompts_as_replicates(tmp_path: Path) -> None:
    found = judged(written(tmp_path, layers_table(10), "csv"), "gptj", SHARE)
    assert (found.verdict, found.estimate.n, found.estimate.unit) == (Verdict.SUPPORTED, 10, "prompt")


def test_the_order_of_its_rows_changes_nothing(tmp_path: Path) -> None:
    rows = layers_table(6)
    last = a_test("mean", "attention_gain", "< 1", layer="last")
    one = judged(written(tmp_path, rows, "csv"), "gptj", last)
    other = judged(written(tmp_path, rows[::-1], "json"), "gptj", last)
    assert one.estimate.value == pytest.approx(other.estimate.value, rel=1e-15)
    assert one.estimate.value == pytest.approx(np.mean([r["attention_gain"] for r in rows if r["Layer"] == 28]))


def test_layers_without_prompts_are_a_census(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "Prompt"} for row in layers_table(1)]
    found = judged(written(tmp_path, rows, "csv"), "gptj", SHARE)
    assert (found.verdict, found.estimate.unit, found.estimate.n) == (Verdict.SUPPORTED, "census", 28)
    assert "no replicate was at hand" in found.why


def test_a_part_of_the_layers_is_no_census_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="holds 10 of the 28 layers of gptj"):
        judged(written(tmp_path, layers_table(3, layers=10), "csv"), "gptj", SHARE)


def test_layers_that_count_from_0_are_never_taken_for_the_next(tmp_path: Path) -> None:
    path = written(tmp_path, layers_table(10, first=0), "csv")
    with pytest.raises(BadInput, match=r"Layer is '0'; layers count from 1 here .*layers_from: 0"):
        judged(path, "gptj", SHARE)
    text = "layers_from: 0\nmetrics: {attention_gain: attention_gain}\n"
    assert judged(path, "gptj", SHARE, mapped(tmp_path, text)).verdict is Verdict.SUPPORTED


def test_a_prompt_that_lacks_a_layer_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="other layers on the prompt 'p 2'"):
        judged(written(tmp_path, layers_table(3)[:-1], "csv"), "gptj", SHARE)


def test_drawn_weights_beside_a_models_own_are_left_out(tmp_path: Path) -> None:
    own = [{**row, "Weights_Kind": "dequantised"} for row in layers_table(12)]
    drawn = [{**row, "Weights_Kind": "initialisation", "attention_gain": 9.0} for row in own]
    found = judged(written(tmp_path, own + drawn, "csv"), "gptj", SHARE)
    assert (found.verdict, found.estimate.n) == (Verdict.SUPPORTED, 12)


# Single values


def test_one_row_a_model_is_a_census_of_what_was_recorded(tmp_path: Path) -> None:
    path = written(tmp_path, [{"Model": "gptj", "Last_Gain": 1.0652}], "csv")
    found = judged(path, "gptj", MEAN)
    assert (found.verdict, found.estimate.value, found.estimate.unit) == (Verdict.SUPPORTED, 1.0652, "census")
    assert found.labels == ("gauge: stream-mean",)
    assert judged(path, "gptj", MEAN.replace(">", "<")).verdict is Verdict.REFUTED
    with pytest.raises(NotMeasured, match="no share_of_prompts can be had from that"):
        judged(path, "gptj", a_test("share_of_prompts", "last_gain", "> 0.5", holds="> 1"))


def test_one_row_that_names_its_prompt_is_a_prompt_and_no_census(tmp_path: Path) -> None:
    path = written(tmp_path, [{"Model": "gptj", "Prompt": "The cat sat", "Last_Gain": 0.9}], "csv")
    with pytest.raises(Undecidable, match="one value has no spread"):
        judged(path, "gptj", MEAN)


def test_values_whose_mean_is_beyond_all_numbers_decide_nothing(tmp_path: Path) -> None:
    rows = [{"Model": "gptj", "Prompt": str(i), "Last_Gain": value} for i, value in enumerate((1e308, 1.7e308, 0.5))]
    path = written(tmp_path, rows, "csv")
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(Undecidable, match="is inf: "):
        judged(path, "gptj", MEAN)


def test_what_a_csv_says_twice_or_in_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("Model,Prompt,Last_Gain,Last_Gain\ngptj,a,0.9,1.1\n")
    with pytest.raises(BadInput, match=r"t\.csv:1: two columns are called 'Last_Gain'"):
        read_table(path, REGISTRY)
    path.write_text("Model,Prompt,Last_Gain\ngptj,a,1_0\ngptj,b,1\n")
    with pytest.raises(BadInput, match="'1_0', not a number"):
        judged(path, "gptj", MEAN)


def test_a_recorded_mean_is_no_geometric_mean_unless_the_mapping_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, [{"Model": "gptj", "Last_Gain": 1.0652}], "csv")
    geometric = MEAN.replace("statistic: mean", "statistic: geometric_mean")
    with pytest.raises(NotMeasured, match="its mean: no geometric_mean can be had"):
        judged(path, "gptj", geometric)
    text = "summary: geometric_mean\nmetrics: {last_gain: Last_Gain}\n"
    assert judged(path, "gptj", geometric, mapped(tmp_path, text)).verdict is Verdict.SUPPORTED


def test_a_recorded_ratio_of_means_is_one_where_the_mapping_says_so_and_a_row_a_prompt_never_is(tmp_path: Path) -> None:
    path = written(tmp_path, [{"Model": "gptj", "Last_Gain": 1.0652}], "csv")
    ratio = MEAN.replace("statistic: mean", "statistic: ratio_of_means")
    mapping = mapped(tmp_path, "summary: ratio_of_means\nmetrics: {last_gain: Last_Gain}\n")
    assert judged(path, "gptj", ratio, mapping).verdict is Verdict.SUPPORTED
    with pytest.raises(NotMeasured, match="no mean can be had from that"):
        judged(path, "gptj", MEAN, mapping)
    several = written(tmp_path, [{"Model": "gptj", "Prompt": p, "Last_Gain": 1.1} for p in "abc"], "csv")
    for map_of in (None, mapping):
        with pytest.raises(NotMeasured, match="holds ratios, not the lengths that ratio_of_means divides"):
            judged(several, "gptj", ratio, map_of)


# On which prompts

TEXTS = [prompt.text for prompt in load_prompts("grand-unified-500").prompts]


def judged_over(path: Path, prompts: str, mapping: Path | None = None) -> Judgement:
    """Judge a claim that names a prompt set."""
    claim = claim_of(MEAN, "[gptj]").model_copy(update={"prompts": prompts})
    return judge_measured(claim, ("gptj",), source_of(path, mapping))


def gains(texts: list[str], **more: Any) -> list[dict[str, Any]]:
    return [{"Model": "gptj", "Prompt": text, "Last_Gain": 1.05 + i / 1000, **more} for i, text in enumerate(texts)]


def test_a_claim_over_500_prompts_is_not_judged_on_25_of_them(tmp_path: Path) -> None:
    few = written(tmp_path, gains(TEXTS[:25]), "csv")
    with pytest.raises(NotMeasured, match="holds gptj on 25 prompts, 25 of them among the 500 of 'grand-unified-500'"):
        judged_over(few, "grand-unified-500")
    named = written(tmp_path, gains(TEXTS[:25], Prompt_Set="grand-unified-500"), "csv")
    with pytest.raises(NotMeasured, match="on 25 prompts, 25 of them among the 500"):
        judged_over(named, "grand-unified-500")
    mapping = mapped(tmp_path, "prompts: grand-unified-500\nmetrics: {last_gain: Last_Gain}\n")
    with pytest.raises(NotMeasured, match="on 25 prompts, 25 of them among the 500"):
        judged_over(few, "grand-unified-500", mapping)


def test_a_claim_that_names_a_set_is_judged_on_all_of_its_texts_however_they_are_spaced(tmp_path: Path) -> None:
    found = judged_over(written(tmp_path, gains([f" {text}" for text in TEXTS]), "csv"), "grand-unified-500")
    assert (found.verdict, found.estimate.n) == (Verdict.SUPPORTED, 500)


def test_a_claim_that_names_a_set_is_not_judged_where_nobody_knows_the_prompts(tmp_path: Path) -> None:
    path = written(tmp_path, [{"Model": "gptj", "Last_Gain": 1.0652}], "csv")
    with pytest.raises(NotMeasured, match="on prompts that it does not show, not known to be 'grand-unified-500'"):
        judged_over(path, "grand-unified-500")
    mapping = mapped(tmp_path, "prompts: grand-unified-500\nmetrics: {last_gain: Last_Gain}\n")
    assert judged_over(path, "grand-unified-500", mapping).verdict is Verdict.SUPPORTED


def test_a_claim_that_names_no_set_is_judged_on_unknown_prompts_and_not_on_those_of_a_known_set(tmp_path: Path) -> None:
    assert judged(written(tmp_path, gains(["a", "b", "c"]), "csv"), "gptj", MEAN).estimate.n == 3
    with pytest.raises(NotMeasured, match="on the prompts of 'grand-unified-500', not on 'grand-unified-25'"):
        judged(written(tmp_path, gains(TEXTS), "csv"), "gptj", MEAN)


def test_rows_of_two_prompt_sets_are_told_apart(tmp_path: Path) -> None:
    texts = [prompt.text for prompt in PROMPTS.prompts]
    both = gains(TEXTS, Prompt_Set="grand-unified-500") + gains(texts, Prompt_Set="grand-unified-25")
    path = written(tmp_path, both, "csv")
    assert judged(path, "gptj", MEAN).estimate.n == 25
    assert judged_over(path, "grand-unified-500").estimate.n == 500
    with pytest.raises(NotMeasured, match="on the prompts 'grand-unified-500, grand-unified-25', not on 'many-kinds'"):
        judged_over(path, "many-kinds")


# Whose columns


def test_role_is_a_column_like_any_other_in_other_peoples_tables(tmp_path: Path) -> None:
    rows = gains(["a", "b", "c"], Role="Control")
    assert judged(written(tmp_path, rows, "csv"), "gptj", MEAN).estimate.n == 3
    mine = [{**row, "Weights_Kind": "pretrained", "Trace": "a", "Role": "Subject"} for row in rows]
    beside = [{**row, "Weights_Kind": "pretrained", "Trace": "b", "Role": "Variation", "Last_Gain": 9} for row in rows]
    found = judged(written(tmp_path, mine + beside, "csv"), "gptj", MEAN)
    assert (found.estimate.n, found.estimate.value) == (3, pytest.approx(1.051))


def test_the_complexity_that_we_write_is_read_back(tmp_path: Path) -> None:
    rows = [{**row, "Complexity": i} for i, row in enumerate(gains(["a", "b", "c", "d", "e"]))]
    test = a_test("pearson", "[last_gain, prompt_complexity]", "> 0.5")
    assert judged(written(tmp_path, rows, "csv"), "gptj", test).estimate.value == pytest.approx(1)


def test_rows_of_another_pass_are_read_for_its_metrics_alone(tmp_path: Path) -> None:
    own = {"Weights_Kind": "pretrained", "Role": "Subject", "next_token_loss": ""}
    rows = [{**row, **own, "Pass": "forward", "Trace": "a"} for row in gains(["a", "b", "c"])]
    rows += [
        {**row, "Last_Gain": "", "next_token_loss": 2 + i / 10, "Pass": "loss", "Trace": "b"}
        for i, row in enumerate(rows)
    ]
    path = written(tmp_path, rows, "csv")
    assert judged(path, "gptj", MEAN).estimate.value == pytest.approx(1.051)
    assert judged(path, "gptj", a_test("mean", "next_token_loss", "> 1")).estimate.value == pytest.approx(2.1)
    with pytest.raises(NotMeasured, match="no column for token_reach"):
        judged(path, "gptj", a_test("mean", "token_reach", "> 1", layer="last"))


@pytest.mark.parametrize(("layer", "depth"), [("-2", 27), ("last", 28), ("-28", 1), ("first", 1)])
def test_a_layer_may_be_counted_from_each_models_last(tmp_path: Path, layer: str, depth: int) -> None:
    path = written(tmp_path, [{"Model": "gptj", "G": 0.9}], "csv")
    mapping = mapped(tmp_path, f"metrics: {{layer_gain: {{column: G, layer: {layer}}}}}\n")
    at = a_test("mean", "layer_gain", "< 1", layer="@").replace("'@'", str(depth))
    assert judged(path, "gptj", at, mapping).verdict is Verdict.SUPPORTED
    other = a_test("mean", "layer_gain", "< 1", layer="@").replace("'@'", str(14))
    with pytest.raises(NotMeasured, match="no layer 14"):
        judged(path, "gptj", other, mapping)


@pytest.mark.documents
def test_the_penultimate_gains_of_every_size_are_mapped_at_once(tmp_path: Path) -> None:
    text = (
        "records: models\nmodel: model\nmetrics:\n  layer_gain: {column: residual_gain_all, list: prompts, layer: -2}\n"
    )
    for model, depth in (("pythia-70m", 6), ("pythia-1b", 16), ("pythia-6.9b", 32)):
        at = a_test("mean", "layer_gain", "< 1", layer="@").replace("'@'", str(depth - 1))
        found = judged(recorded("pythia_family_penultimate.json"), model, at, mapped(tmp_path, text))
        assert found.estimate.n == 25


# Printed figures

ROUNDED = "rounded: true\nmetrics: {last_gain: Last_Gain}\n"
PRINTED_SHARE = (
    "rounded: true\nmetrics:\n  attention_gain: {column: share, summary: layers_passing, holds: '< 1', position: all}\n"
)


@pytest.mark.parametrize(
    ("cell", "predicts", "verdict"),
    [
        ("0.80", "within [0.795, 0.805]", "SUPPORTED"),
        ("0.80", "< 0.805", "SUPPORTED"),  # which would be printed as 0.81
        ("0.80", ">= 0.795", "SUPPORTED"),
        ("0.80", "> 0.795", "INCONCLUSIVE"),
        ("0.80", "< 0.795", "REFUTED"),
        ("0.80", ">= 0.8", "INCONCLUSIVE"),
        ("0.8", ">= 0.76", "INCONCLUSIVE"),
        ("1.02", "> 1", "SUPPORTED"),
        ("1.0", "> 1", "INCONCLUSIVE"),
        ("2e1", "within [15, 25]", "SUPPORTED"),
        ("97 %", ">= 0.965", "SUPPORTED"),
    ],
)
def test_a_printed_value_is_any_that_rounds_to_it(tmp_path: Path, cell: str, predicts: str, verdict: str) -> None:
    path = written(tmp_path, [{"Model": "gptj", "Last_Gain": cell}], "csv")
    found = judged(path, "gptj", MEAN.replace("> 1", predicts), mapped(tmp_path, ROUNDED))
    assert found.verdict == verdict
    assert (found.estimate.p, found.estimate.level, found.estimate.unit) == (None, None, "census")
    assert "there is no error rate" in found.why


@pytest.mark.parametrize(
    ("cell", "predicts", "verdict"),
    [
        ("97%", ">= 0.97", "INCONCLUSIVE"),
        ("97%", ">= 0.965", "SUPPORTED"),
        ("97%", "within [0.965, 0.975]", "SUPPORTED"),
        ("97%", ">= 1", "REFUTED"),
        ("100%", ">= 0.97", "SUPPORTED"),
        ("100%", ">= 1", "INCONCLUSIVE"),  # from 99.5 % on
        ("100%", "<= 1", "SUPPORTED"),
    ],
)
def test_a_printed_share_of_layers_is_judged_as_it_is_rounded(
    tmp_path: Path, cell: str, predicts: str, verdict: str
) -> None:
    path = written(tmp_path, [{"Model": "pythia-6.9b", "share": cell}], "csv")
    test = a_test("layers_passing", "attention_gain", predicts, holds="< 1", position="all")
    assert judged(path, "pythia-6.9b", test, mapped(tmp_path, PRINTED_SHARE)).verdict == verdict


def test_a_share_of_layers_answers_for_no_other_condition_statistic_or_number(tmp_path: Path) -> None:
    path, mapping = written(tmp_path, [{"Model": "gptj", "share": "97%"}], "csv"), mapped(tmp_path, PRINTED_SHARE)
    other = a_test("layers_passing", "attention_gain", ">= 0.9", holds="< 0.5", position="all")
    with pytest.raises(NotMeasured, match=r"its layers_passing \(layers < 1\): no layers_passing \(layers < 0.5\)"):
        judged(path, "gptj", other, mapping)
    with pytest.raises(NotMeasured, match="no mean can be had"):
        judged(path, "gptj", a_test("mean", "attention_gain", "< 1", layer="last", position="all"), mapping)
    wrong = written(tmp_path, [{"Model": "gptj", "share": "103%"}], "csv")
    with pytest.raises(BadInput, match=r"share is 1\.03; attention_gain lies in \[0, 1\]"):
        read_table(wrong, REGISTRY, mapping)


def test_only_text_tells_how_many_digits_were_printed(tmp_path: Path) -> None:
    mapping = mapped(tmp_path, ROUNDED)
    with pytest.raises(BadInput, match=r"record 1: Last_Gain is 0\.8, and only text tells .* quote it"):
        judged(written(tmp_path, [{"Model": "gptj", "Last_Gain": 0.8}], "json"), "gptj", MEAN, mapping)
    assert judged(written(tmp_path, [{"Model": "gptj", "Last_Gain": "1.80"}], "json"), "gptj", MEAN, mapping).estimate.n


@given(value=st.decimals(-1000, 1000, places=6), digits=st.integers(0, 5))
def test_what_is_printed_for_a_number_covers_it(value: Any, digits: int) -> None:
    from refutable.evidence.published.formats import TableRecord, printed_in

    text = str(value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP))
    low, high = printed_in(TableRecord({"x": text}, "t"), "x")
    assert low <= float(value) <= math.nextafter(high, math.inf)
    assert high - low == pytest.approx(10**-digits, rel=1e-6)


def test_a_claim_about_an_error_probability_is_not_judged_on_one_number(tmp_path: Path) -> None:
    path = written(tmp_path, [{"Model": "gptj", "Last_Gain": "1.065"}], "csv")
    claim = claim_of(MEAN, "[gptj]", "alpha: 0.025")
    with pytest.raises(NotMeasured, match=r"error probability \(`alpha: 0\.025`\), and one recorded value has none"):
        judge_measured(claim, ("gptj",), source_of(path, None))


def test_models_are_counted_by_their_recorded_values(tmp_path: Path) -> None:
    rows = [{"Model": "gptj", "Last_Gain": "1.065"}, {"Model": "gpt2", "Last_Gain": "0.80"}]
    path, mapping = written(tmp_path, rows, "csv"), mapped(tmp_path, ROUNDED)
    counted = a_test("models_passing", "last_gain", "within [1, 1]", holds="< 1")
    claim = claim_of(counted, "[gptj, gpt2]", "alpha: 0.05")
    found = judge_measured(claim, ("gpt2", "gptj"), source_of(path, mapping))
    assert (found.verdict, found.estimate.value, found.estimate.n) == (Verdict.SUPPORTED, 1, 2)
    lacking = judge_measured(claim, ("gpt2", "gptj", "smollm2"), source_of(path, mapping))
    assert (lacking.verdict, lacking.estimate.low, lacking.estimate.high) == (Verdict.INCONCLUSIVE, 1, 2)
    assert "not measured: smollm2" in lacking.why


# What cannot be used


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.json", "{", "not JSON (line 1"),
        ("t.json", "3", "must be a list of records"),
        ("t.json", "[1]", "record 1 must be an object of column: value (got '1')"),
        ("t.json", '{"Model": ["gptj"], "Last_Gain": [1, 2]}', "not columns with a list of the same length"),
        ("t.jsonl", '{"Model": "gptj", "Last_Gain": 1}\nx\n', "t.jsonl:2: not JSON"),
        ("t.parquet", "no", "not a Parquet file"),
        ("t.csv", "Model,Last_Gain\ngptj,1,2\n", "t.csv:2 has more cells than the header"),
        ("t.csv", "Model,Gain\ngptj,1\n", "its header must name Model and at least one of Last_Gain"),
        ("t.csv", "Model,Last_Gain\nnobody,1\n", "t.csv:2 Model 'nobody' is not in the registry"),
        ("t.csv", "Model,Last_Gain\n", "has a header and no rows"),
        ("t.csv", "Model,attention_gain\ngptj,1\n", "no metric in it can be read"),
        ("t.csv", "Model,Layer,attention_gain\ngptj,1,1\ngptj,1,1\n", "has no prompt at layer 1 more than once"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        read_table(tmp_path / name, REGISTRY)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("", "Last_Gain is empty; leave such rows out"),
        ("x", "Last_Gain is 'x', not a number"),
        ("nan", "Last_Gain is nan"),
        ("inf", "Last_Gain is inf"),
    ],
)
def test_a_cell_that_is_no_number_is_named_with_its_line(tmp_path: Path, cell: str, words: str) -> None:
    path = written(tmp_path, [{"Model": "gptj", "Last_Gain": value} for value in ("1.1", cell, "1.2")], "csv")
    with pytest.raises(BadInput) as caught:
        judged(path, "gptj", MEAN)
    assert f"table.csv:3: {words}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modle: x\n", "map.yaml:1 modle: unknown key 'modle'"),
        ("metrics: {last_gian: G}\n", "Did you mean 'last_gain'?"),
        ("metrics: {last_gain: {column: G, layer: 2}}\n", "'last_gain' has one value a prompt; remove `layer:`"),
        ("metrics: {layer_gain: {column: G, layer: 2, list: layers}}\n", "a list of layers holds every layer"),
        (
            "metrics: {layer_gain: {column: G, layer: 0}}\n",
            "unknown layer 0; write first, last, a number from 1, or from -1",
        ),
        ("metrics: {layer_gain: {column: G, layer: lsat}}\n", "unknown layer 'lsat'; write first, last"),
        ("metrics: {layer_gain: {column: G, summary: layers_passing}}\n", "say where something holds: `holds:`"),
        ("metrics: {layer_gain: {column: G, holds: '< 1'}}\n", "add `summary: layers_passing`"),
        ("metrics: {layer_gain: {column: G, list: prompts}}\n", "say which its list is of: `layer: N`"),
        ("metrics: {last_gain: G}\n", "no column 'G', as mapped; found Model, Last_Gain"),
        ("metrics: {layer_gain: Last_Gain}\n", "layer_gain has one value a layer: name the column"),
        ("records: a\nmetrics: {last_gain: Last_Gain}\n", "`records: a` is for JSON"),
        ("summary: maen\n", "Did you mean 'mean'?"),
        ("prompt: text\n", "no column 'text', as mapped; found Model, Last_Gain"),
        ("category: nosuch\n", "no column 'nosuch', as mapped"),
        ("layer: nosuch\n", "no column 'nosuch', as mapped"),
        ("models: {gptx: null}\n", "`models:` names 'gptx', of which table.csv has no row; it has gptj"),
        ("models: {gptj: gtpj}\n", "takes 'gptj' for 'gtpj', which is not in the registry. Did you mean 'gptj'?"),
        ("metrics: {top_probability: {column: P, position: whole}}\n", "is read at the last token only"),
        ("metrics: {output_entropy: {column: H, norm: centred}}\n", "'output_entropy' reads no norm"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, [{"Model": "gptj", "Last_Gain": 1.0}], "csv")
    with pytest.raises(BadInput) as caught:
        read_table(path, REGISTRY, mapped(tmp_path, text))
    assert words in str(caught.value)


def test_a_list_that_no_mapping_explains_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, [{"Model": "gptj", "Last_Gain": [1.0, 2.0]}], "json")
    with pytest.raises(BadInput, match="is a list; say `list: prompts` or `list: layers`"):
        judged(path, "gptj", MEAN)
    text = "metrics: {last_gain: {column: Last_Gain, list: prompts}}\n"
    assert judged(path, "gptj", MEAN, mapped(tmp_path, text)).estimate.n == 2


def test_a_folder_is_no_table_and_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--measurements .*: a folder; name the table in it$"):
        read_table(tmp_path, REGISTRY)
    written(tmp_path, [{"Model": "gptj", "Last_Gain": 1.0}], "csv")
    with pytest.raises(BadInput, match=r"a folder; name the table in it \(it holds table\.csv\)"):
        read_table(tmp_path, REGISTRY)


# Values that no data could give


OUT_OF_RANGE = [
    ("Last_Gain", -1.1, r"Last_Gain is -1\.1; last_gain is at least 0"),
    ("cos_attention_mlp", 1.2, r"cos_attention_mlp is 1\.2; cos_attention_mlp lies in \[-1, 1\]"),
    (
        "Top_Prob",
        37.0,
        r"Top_Prob is 37; top_probability of gptj, which has 50,400 tokens, lies in \[1.98413e-05, 1\]",
    ),
    (
        "Entropy",
        14.9,
        r"Entropy is 14\.9; output_entropy \(in nats: bits times ln 2\) of gptj, .* \[0, 10\.8277\]",
    ),
    ("Tokens", 0, r"Tokens is 0; prompt_length is at least 1"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("column", "value", "told"), OUT_OF_RANGE)
def test_a_value_outside_its_metrics_range_is_refused_with_its_place(
    tmp_path: Path, kind: str, column: str, value: float, told: str
) -> None:
    layered = {"Layer": 1} if column.startswith("cos") else {}
    rows = [{"Model": "gptj", "Prompt": f"p{n}", **layered, column: 1.0} for n in range(3)]
    rows[1][column] = value
    place = {"csv": "table.csv:3", "jsonl": "table.jsonl:2", "parquet": "table.parquet: row 2"}
    with pytest.raises(BadInput, match=f"{place.get(kind, 'record 2')}: {told}") as caught:
        read_table(written(tmp_path, rows, kind), REGISTRY)
    assert "fix these values" in str(caught.value)


def test_a_value_in_a_list_that_is_out_of_range_is_refused(tmp_path: Path) -> None:
    rows = [{"Model": "gptj", "gains": [1.0, None, -0.5]}]
    path = mapped(tmp_path, "metrics:\n  last_gain: {column: gains, list: prompts}\n")
    with pytest.raises(BadInput, match=r"record 1: gains is -0\.5; last_gain is at least 0"):
        read_table(written(tmp_path, rows, "json"), REGISTRY, path)


def test_many_values_out_of_range_are_counted(tmp_path: Path) -> None:
    rows = [{"Model": "gptj", "Prompt": f"p{n}", "Last_Gain": -1.0} for n in range(25)]
    with pytest.raises(BadInput, match="15 more such values") as caught:
        read_table(written(tmp_path, rows, "csv"), REGISTRY)
    assert len(str(caught.value).splitlines()) == 12


def test_what_is_missing_or_rounded_is_not_out_of_range(tmp_path: Path) -> None:
    rows = [{"Model": "gptj", "Prompt": f"p{n}", "Last_Gain": "", "Top_Prob": 1.0000001} for n in range(3)]
    rows[1]["Last_Gain"] = "nan"
    assert "last_gain" in read_table(written(tmp_path, rows, "csv"), REGISTRY).columns


def test_a_lone_value_that_is_a_correlation_has_its_range(tmp_path: Path) -> None:
    mapping = mapped(tmp_path, "summary: pearson\nmetrics: {last_gain: r}\n")
    assert read_table(written(tmp_path, [{"Model": "gptj", "r": -0.2}], "csv"), REGISTRY, mapping).rows
    with pytest.raises(BadInput, match=r"r is -1\.2; last_gain lies in \[-1, 1\]"):
        read_table(written(tmp_path, [{"Model": "gptj", "r": -1.2}], "csv"), REGISTRY, mapping)


# What a statistic can speak of


def spread_over(tmp_path: Path, categories: int) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        {
            "Model": "gptj",
            "Prompt": f"{i} of them",
            "Category": f"kind {i % categories}",
            "Last_Gain": 1 + 0.1 * float(rng.normal()),
            "Entropy": 3 + 0.1 * float(rng.normal()),
            "Top_Prob": 0.2 + 0.6 * float(rng.random()),
        }
        for i in range(25)
    ]
    return written(tmp_path, rows, "csv")


@pytest.mark.parametrize(
    ("test", "alone"),
    [
        ('{statistic: slope, of: [last_gain, output_entropy], predicts: "> 0"}', True),
        ('{statistic: trend, of: [last_gain, output_entropy], predicts: "> 0"}', True),
        ('{statistic: mean_anytime, of: last_gain, predicts: "> 1"}', True),
        ('{statistic: bounded_mean, of: top_probability, predicts: "> 0.5"}', True),
        ('{statistic: slope, over: these_categories, of: [last_gain, output_entropy], predicts: "> 0"}', False),
        ('{statistic: mean, of: last_gain, predicts: "> 1"}', False),
        ('{statistic: share_between_categories, of: last_gain, predicts: "> 0.1"}', False),
    ],
)
def test_a_statistic_that_takes_prompts_for_units_says_that_it_speaks_of_these_categories(
    tmp_path: Path, test: str, alone: bool
) -> None:
    found = judged(spread_over(tmp_path, 5), "gptj", test)
    assert ("these-categories-only" in found.labels) == alone
    assert ("no version over categories like these" in found.details.get("speaks of", "")) == alone
    assert "these-categories-only" not in judged(spread_over(tmp_path, 1), "gptj", MEAN).labels


@pytest.mark.parametrize("other", ["The cat ", " The  cat", "The\ncat"])
def test_a_prompt_with_other_white_space_is_the_same_prompt(tmp_path: Path, other: str) -> None:
    rows = [{"Model": "gptj", "Prompt": text, "Last_Gain": 1.5} for text in ("The cat", other)]
    with pytest.raises(BadInput, match="has the prompt 'The cat' more than once"):
        read_table(written(tmp_path, rows, "csv"), REGISTRY)
