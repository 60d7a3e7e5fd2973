"""A table that this project wrote, read back with `--measurements`, gives the verdicts that the traces gave."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from refutable._util.atomic import unmarked
from refutable.metrics import METRICS
from refutable.reports.runs import kept_in
from refutable.traces.passes import PASSES

from .conftest import Result, Suite

MINE = """\
name: mine
source: made here
tokens_by: nobody
prompts:
  - {category: a, tokens: 4, text: one}
  - {category: a, tokens: 6, text: two}
  - {category: b, tokens: 5, text: three}
  - {category: b, tokens: 7, text: four}
"""
MODEL = "tiny-gpt2"
OTHER = """\
models:
  my-llama:
    title: My LLaMA
    family: llama
    parameters: 180672
    organisation: mine
    licence: mine
    stand_in: true
    config: {model_type: llama, vocab_size: 256, hidden_size: 64, intermediate_size: 192, num_hidden_layers: 3,
      num_attention_heads: 4, num_key_value_heads: 2, hidden_act: silu, max_position_embeddings: 512,
      rope_theta: 10000.0, rms_norm_eps: 1.0e-5, initializer_range: 0.02, attention_bias: false, mlp_bias: false,
      tie_word_embeddings: false}
"""


def a_claim(name: str, of: str, test: dict[str, Any], **more: Any) -> dict[str, Any]:
    kind = "dynamical" if PASSES[METRICS[of].reads].dynamic else "measured"
    told = {"statistic": "mean", "of": of, "predicts": "> 0.5", **test}
    return {"id": name, "statement": "s", "evidence": kind, "models": [MODEL], "test": told, **more}


def every_metric() -> Iterator[dict[str, Any]]:
    """Yield claims on every metric; on those of layers, on the last one and, in turn, over all or as a share."""
    for turn, name in enumerate(name for name in METRICS if not PASSES[METRICS[name].reads].compares):
        slug = name.replace("_", "-")
        if METRICS[name].per == "prompt":
            yield a_claim(slug, name, {})
            continue
        yield a_claim(f"{slug}.last", name, {"layer": "last"})
        if turn % 2:
            yield a_claim(f"{slug}.mean", name, {"layer": "mean"})
        else:
            yield a_claim(f"{slug}.share", name, {"statistic": "layers_passing", "holds": "> 0.5"})


def read_back(suite: Suite, table: str) -> Result:
    shutil.copy(suite.folder / "reports" / table, suite.folder / table)
    return suite.pytest("--measurements", table, "--reports", "again")


def rows_of(suite: Suite, folder: str) -> dict[str, dict[str, Any]]:
    found = json.loads((suite.folder / folder / "verdicts.json").read_text())["verdicts"]
    return {row["claim"]: row for row in found}


@pytest.mark.slow
def test_every_metric_comes_to_the_same_verdict_from_the_table_as_from_its_trace(suite: Suite) -> None:
    beside = {"multiverse": {"dtype": ["bfloat16"], "bos": ["without"], "prompts": ["mine.yaml"]}}
    claims = [
        *every_metric(),
        a_claim("with-all-beside-it", "last_gain", {}, controls=["initialization"], **beside),
        a_claim("of-a-layer-with-all-beside-it", "layer_gain", {"layer": "last"}, **beside),
        a_claim("on-my-own", "last_gain", {}, prompts="mine.yaml"),
        a_claim("on-my-own-by-layer", "layer_gain", {"layer": "last"}, prompts="mine.yaml"),
        a_claim("by-category", "layer_gain", {"statistic": "share_between_categories", "layer": "last"}),
    ]
    suite.write("claims.yaml", json.dumps({"schema": 1, "claims": claims}))
    suite.write("mine.yaml", MINE)
    suite.pytest("-p", "no:cacheprovider", timeout=900)
    live = rows_of(suite, "reports")
    compared = set()
    for table in ("measurements.csv", "layers.csv"):
        run = read_back(suite, table)
        assert run.status in (0, 1), run.text
        for claim, told in rows_of(suite, "again").items():
            if "has no column for" in told["why"]:
                continue
            assert told["verdict"] == live[claim]["verdict"], (claim, told["why"], live[claim]["why"])
            assert told["estimate"] == live[claim]["estimate"], claim
            compared.add(claim)
    assert compared == set(live)
    looked = [claim for claim, row in live.items() if row["verdict"] in ("SUPPORTED", "REFUTED", "INCONCLUSIVE")]
    assert len(looked) > 0.9 * len(live)


def test_csv_and_parquet_hold_exactly_the_same(suite: Suite) -> None:
    claims = [a_claim("of-prompts", "last_gain", {}), a_claim("of-layers", "layer_gain", {"layer": "last"})]
    suite.write("claims.yaml", json.dumps({"schema": 1, "claims": claims}))
    assert suite.pytest().status in (0, 1)
    live, reports = rows_of(suite, "reports"), suite.folder / "reports"
    for name in ("measurements", "layers", "categories"):
        with (reports / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        table = pq.read_table(reports / f"{name}.parquet")
        assert lines
        assert list(lines[0]) == table.column_names
        for line, row in zip(lines, table.to_pylist(), strict=True):
            for column, cell in line.items():
                assert same(cell, row[column]), (name, column)
    for claim, table in (("of-prompts", "measurements.parquet"), ("of-layers", "layers.parquet")):
        assert read_back(suite, table).status in (0, 1)
        assert rows_of(suite, "again")[claim]["estimate"] == live[claim]["estimate"]
    (kept,) = kept_in(reports)
    assert not (kept / "measurements.csv").exists(), "the Parquet file beside it has the same"
    assert (kept / "measurements.parquet").read_bytes() == (reports / "measurements.parquet").read_bytes()


def same(cell: str, value: object) -> bool:
    """Whether a cell of a CSV is what a Parquet file has there; of a number, every digit."""
    if value is None:
        return cell == ""
    return unmarked(cell) == value if isinstance(value, str) else cell == repr(value)


def test_a_suites_own_model_has_its_architecture_and_parameters(suite: Suite) -> None:
    suite.write("models.yaml", OTHER)
    suite.write(
        "claims.yaml", json.dumps({"schema": 1, "claims": [a_claim("a", "last_gain", {}, models=["my-llama"])]})
    )
    ini = (suite.folder / "pytest.ini").read_text()
    suite.write("pytest.ini", f"{ini}refutable_models = models.yaml\n")
    run = suite.pytest()
    assert "a-my-llama" in run.verdicts, run.text
    with (suite.folder / "reports" / "measurements.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    told = [first[name] for name in ("Model", "Architecture", "Norm_Type", "Params", "Role")]
    assert told == ["My LLaMA", "llama (Sequential)", "RMSNorm", "180672", "Subject"]
