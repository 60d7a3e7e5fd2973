"""What users hand over by mistake or by malice: one clean message each, and nothing accepted that means nothing."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import VARIANTS, prompt_set, row_of, tiny_model
from typer.testing import CliRunner

from refutable._util.atomic import write_csv
from refutable.claims.file import read_claims
from refutable.cli import app
from refutable.errors import BadInput, NotMeasured, RefutableError
from refutable.evidence.published.formats import read_records
from refutable.evidence.published.read import read_table
from refutable.measurement.loading.load import load_model
from refutable.measurement.passes.forward import run_pass
from refutable.models.registry import ModelRegistry, load_registry
from refutable.models.subject import Subject
from refutable.models.weights import Finder
from refutable.prompts.find import load_prompts
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.journal import RunResult
from refutable.reports.markdown import verdict_pages
from refutable.traces.store import cache_folder

from .conftest import CLAIMS, Suite

REGISTRY = load_registry()
CLAIM = """\
schema: 1
claims:
  - id: a
    statement: STATEMENT
    evidence: measured
    models: smollm2
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
"""


def claims_file(folder: Path, text: str) -> Path:
    path = folder / "claims.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# A model's folder.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model(VARIANTS["llama"]).network.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def with_config(folder: Path, **changes: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


@pytest.mark.parametrize("method", ["compressed-tensors", "mxfp4", "hqq", None])
def test_weights_quantised_in_an_unknown_way_are_refused_by_their_method(
    method: str, folder: Path, finder: Finder
) -> None:
    with_config(folder, quantization_config={"quant_method": method, "bits": 4})
    with pytest.raises(BadInput, match=f"quantised by {method or 'an unnamed method'}, which is not read here"):
        finder.find(row_of(VARIANTS["llama"]), Subject("tiny", str(folder)))


@pytest.mark.parametrize(
    "content",
    ["[]", "null", "3", '"llama"', "{}", '{"model_type": 3}', "[" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000,
     '{"model_type": "llama", "model_type": "gpt2"}', '{"model_type": "llama", "hidden_size": ' + "9" * 400 + "}",
     '{"model_type": "llama", "hidden_size": "x"}', '{"model_type": "llama", "num_hidden_layers": 1e400}',
     '{"model_type": "llama", "num_attention_heads": 0}', '{"model_type": "llama", "num_hidden_layers": true}',
     '{"model_type": "llama", "rope_parameters": []}', '{"model_type": "llama", "quantization_config": 7}',
     "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "\xff\xfe\0{"],
)  # fmt: skip
def test_a_config_that_is_none_is_bad_input(content: str, folder: Path, finder: Finder) -> None:
    (folder / "config.json").write_text(content, encoding="utf-8")
    row = row_of(VARIANTS["llama"])
    with pytest.raises(RefutableError, match=r"config\.json|must be"):
        load_model(row, s := Subject("tiny", str(folder)), finder.find(row, s), folder.parent / "cache")


def test_a_huge_config_is_bad_input(folder: Path, finder: Finder) -> None:
    with_config(folder, padding="x" * 5_000_000)
    with pytest.raises(BadInput, match="at most 4194304 are read"):
        finder.find(row_of(VARIANTS["llama"]), Subject("tiny", str(folder)))


@pytest.mark.parametrize("choice", ["eager", "flash_attention_2", "kernels-community/flash-attn", "sdpa"])
def test_a_folder_has_no_say_in_how_attention_is_run(choice: str, folder: Path, finder: Finder) -> None:
    """A name like org/kernel makes transformers ask the hub for a kernel, and another one hides the probabilities."""
    row, subject = row_of(VARIANTS["llama"]), Subject("tiny", str(folder))
    plain = finder.find(row, subject)
    with_config(folder, _attn_implementation=choice, attn_implementation=choice, _attn_implementation_internal=choice)
    source = finder.find(row, subject)
    assert source.config == plain.config
    model = load_model(row, subject, source, folder.parent / "cache")
    assert run_pass(model, prompt_set([3]), "key", {}).blocks["attention_entropy"].null_count < 9


def test_a_folder_has_no_say_in_what_a_model_returns(folder: Path, finder: Finder) -> None:
    with_config(folder, return_dict=False, output_hidden_states=True, use_cache=True, torchscript=True)
    row, subject = row_of(VARIANTS["llama"]), Subject("tiny", str(folder))
    model = load_model(row, subject, finder.find(row, subject), folder.parent / "cache")
    assert run_pass(model, prompt_set([3]), "key", {}).blocks.num_rows == 9


@pytest.mark.parametrize("name", ["added_tokens.json", "vocab.txt", "tokenizer.model", "special_tokens_map.json"])
def test_every_file_that_makes_tokens_is_in_the_key(name: str, folder: Path, finder: Finder) -> None:
    row, subject = row_of(VARIANTS["llama"]), Subject("tiny", str(folder))
    before = finder.find(row, subject)
    (folder / name).write_text("{}")
    after = finder.find(row, subject)
    assert after.tokenizer_digest != before.tokenizer_digest
    assert after.tokenizer is not None, "stand-in tokens are for folders without any tokenizer"


def test_fp8_weights_are_turned_back_and_say_so(folder: Path, finder: Finder) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    tensors = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if "proj" in name:
            tiles = tensor.reshape(tensor.shape[0] // 16, 16, tensor.shape[1] // 16, 16)
            scale = tiles.abs().amax((1, 3)) / 448
            tensors[name] = (tiles / scale[:, None, :, None]).reshape(tensor.shape).to(torch.float8_e4m3fn)
            tensors[name.replace(".weight", ".weight_scale_inv")] = scale
        else:
            tensors[name] = tensor
    plain = load_file(folder / "model.safetensors")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with_config(folder, quantization_config={"quant_method": "fp8", "weight_block_size": [16, 16]})
    row, subject = row_of(VARIANTS["llama"]), Subject("tiny", str(folder))
    source = finder.find(row, subject)
    assert (str(source.kind), source.detail.split(",")[0]) == ("dequantised", "from fp8 safetensors")
    read = load_model(row, subject, source, folder.parent / "cache").network.state_dict()
    for name, tensor in plain.items():
        torch.testing.assert_close(read[name], tensor, rtol=0.07, atol=1e-3)
    half = load_model(row, Subject("tiny", str(folder), dtype="bfloat16"), source, folder.parent / "cache")
    assert half.network.model.norm.weight.dtype is torch.bfloat16
    assert half.network.model.rotary_emb.inv_freq.dtype is torch.float32, "positions are turned by what code computes"
    assert run_pass(half, prompt_set([3]), "key", {}).blocks.num_rows == 9
    (folder / "config.json").write_text(
        (folder / "config.json").read_text().replace("quantization_config", "compressed")
    )
    with pytest.raises(BadInput, match=r"config\.json names no quantization_config"):
        load_model(row, subject, finder.find(row, subject), folder.parent / "cache")


def test_a_quantisation_of_null_is_none(folder: Path, finder: Finder) -> None:
    with_config(folder, quantization_config=None)
    row, subject = row_of(VARIANTS["llama"]), Subject("tiny", str(folder))
    source = finder.find(row, subject)
    assert str(source.kind) == "local"
    load_model(row, subject, source, folder.parent / "cache")


def test_prompts_longer_than_a_model_can_read_are_not_measured() -> None:
    for name in ("mpt", "gpt2", "llama"):
        with pytest.raises(NotMeasured, match=r"reads at most 64 tokens and prompt \d+ of .* has 65"):
            run_pass(tiny_model(VARIANTS[name]), prompt_set([3, 65]), "key", {})


# Places.


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REFUTABLE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(BadInput, match=r"set \$REFUTABLE_CACHE to a folder"):
        cache_folder()


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_cache_that_is_a_file_is_an_error_with_the_fix(below: str, suite: Suite) -> None:
    suite.write("file", "not a folder")
    suite.environment["REFUTABLE_CACHE"] = str(suite.folder / "file") + below
    run = suite.pytest("-k", "shrinks")
    assert run.status == 1
    assert run.verdicts == {"tiny-attention-shrinks-the-stream-tiny-gpt2": "ERROR"}
    assert "can the cache folder ($REFUTABLE_CACHE) be written?" in run.text
    assert "fault of refutable" not in run.text and "Traceback" not in run.text  # noqa: PT018


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices")
@pytest.mark.parametrize("kind", ["pipe", "zero", "folder"])
def test_what_is_no_file_is_not_read(kind: str, tmp_path: Path) -> None:
    def make(name: str) -> Path:
        path = tmp_path / name
        {"pipe": os.mkfifo, "zero": lambda p: p.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](path)
        return path

    readers: dict[str, Callable[[Path], object]] = {
        "p.txt": lambda path: load_prompts(path.name, tmp_path),
        "p.yaml": lambda path: load_prompts(path.name, tmp_path),
        "c.yaml": read_claims,
        "m.yaml": load_registry,
        "t.csv": lambda path: read_table(path, REGISTRY),
        "t.json": lambda path: read_table(path, REGISTRY),
        "t.parquet": lambda path: read_table(path, REGISTRY),
        "v.json": read_verdicts if kind != "folder" else lambda path: read_verdicts(path / "v.json"),
    }
    for name, read in readers.items():
        with pytest.raises(BadInput, match=r"not a file|a folder|no such file"):
            read(make(name))


def test_a_single_file_beside_an_index_is_refused(folder: Path, finder: Finder) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"w": "model.safetensors"}}')
    with pytest.raises(BadInput, match=r"holds both model\.safetensors and an index"):
        finder.find(row_of(VARIANTS["llama"]), Subject("tiny", str(folder)))


def test_two_models_have_no_name_in_common() -> None:
    gptj = REGISTRY["gptj"]
    with pytest.raises(BadInput, match="'GPT-J-6B' is the name, title, hub repository or alias of two models"):
        ModelRegistry([gptj, gptj.model_copy(update={"name": "mine", "hub": None, "aliases": ()})])


# Claims.


def test_a_chain_of_includes_has_an_end(tmp_path: Path) -> None:
    for i in range(1500):
        (tmp_path / f"c{i}.yaml").write_text(f"include: [c{i + 1}.yaml]\n")
    (tmp_path / "c1500.yaml").write_text(CLAIM)
    with pytest.raises(BadInput, match="at most 20 deep"):
        read_claims(tmp_path / "c0.yaml")


@pytest.mark.parametrize("name", ['"a\\0.yaml"', "/etc/passwd", "../up.yaml", '"c:\\\\x.yaml"'])
def test_an_include_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"does not stay in this folder|control character"):
        read_claims(claims_file(tmp_path, f"include: [{name}]\n{CLAIM}"))


@pytest.mark.parametrize("name", ["/etc/hostname.txt", "../p.txt", "../../p.yaml"])
def test_prompts_of_a_claim_stay_in_its_folder(name: str, suite: Suite) -> None:
    suite.write(
        "claims.yaml", CLAIMS.replace("models: [tiny-gpt2]\n", f"models: [tiny-gpt2]\n    prompts: {name}\n", 1)
    )
    run = suite.pytest("--collect-only", "-q")
    assert run.status == 4
    assert "does not stay in this folder" in run.text


NONSENSE = {
    "record: {smollm2: {value: true}}": "record.smollm2.value",
    "record: {smollm2: {value: 1, n: -5}}": "record.smollm2.n",
    "record: {smollm2: {value: 1, n: 2.5}}": "record.smollm2.n",
    "record: {smollm2: {value: 1, n: true}}": "record.smollm2.n",
    "seeds: [true, 2]": "seeds",
    "seeds: [1.0, 2]": "seeds",
    'test: {statistic: mean, of: last_gain, predicts: "< 1e-999"}': "too small to be told from 0",
    'test: {statistic: mean, of: last_gain, predicts: "< 1e999"}': "too large to be finite",
    'test: {statistic: mean, of: last_gain, predicts: "within [-1e-999, 1]"}': "too small to be told from 0",
}


@pytest.mark.parametrize("line", NONSENSE)
def test_what_means_nothing_is_refused_with_its_place(line: str, tmp_path: Path) -> None:
    text = CLAIM.replace("evidence: measured", "evidence: initialization") if line.startswith("seeds") else CLAIM
    own = [] if line.startswith("test") else [text.rstrip("\n"), f"    {line}"]
    lines = own or [*text.splitlines()[:-1], f"    {line}"]
    with pytest.raises(BadInput, match=r"claims\.yaml:\d+ ") as caught:
        read_claims(claims_file(tmp_path, "\n".join(lines) + "\n"))
    assert NONSENSE[line] in str(caught.value)


def test_a_zero_is_a_number(tmp_path: Path) -> None:
    for number in ("0", "0.0", "0e5", "-0", "1e-300"):
        read_claims(claims_file(tmp_path, CLAIM.replace("> 1", f"> {number}")))


@pytest.mark.parametrize(
    ("escape", "code"), [("\\e[31m", "001B"), ("\\0", "0000"), ("\\x7f", "007F"), ("\\x9b2J", "009B")]
)
def test_a_terminal_is_sent_no_control_characters(escape: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"claims\.yaml:4 holds the control character U\+{code}"):
        read_claims(claims_file(tmp_path, CLAIM.replace("STATEMENT", f'"Red {escape} text"')))


def test_a_page_has_no_html_of_a_claims(tmp_path: Path) -> None:
    text = "<script>alert(1)</script> 1 < 2 <img src=x> & <!-- c --> a|b"
    claims = read_claims(claims_file(tmp_path, CLAIM.replace("STATEMENT", json.dumps(text)))).claims
    pages = verdict_pages(claims, RunResult({}, ()), {claim.id: claim.hash for claim in claims})
    page = "\n".join(pages.values())
    assert "<script" not in page and "<img" not in page and "<!--" not in page  # noqa: PT018
    assert "&lt;script>alert(1)&lt;/script> 1 < 2" in page


# Models, tables, verdicts.


@pytest.mark.parametrize("value", ["x", "-3", "0", "2.5", "true", "[3]", "9" * 30])
def test_a_registry_row_with_a_fact_that_is_no_number_is_refused_with_its_line(value: str, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    row = "title: T\n    family: llama\n    parameters: 5\n    organisation: me\n    licence: none\n"
    path.write_text(f"models:\n  mine:\n    {row}    config: {{model_type: llama, num_hidden_layers: {value}}}\n")
    with pytest.raises(BadInput, match=r"models\.yaml:\d+ models\.mine\.config: num_hidden_layers must be"):
        load_registry(path)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.json", '[{"Model": "gptj", "Last_Gain": ' + "9" * 400 + "}]", "a number of 400 digits"),
        ("t.json", '[{"Model": "gptj", "Last_Gain": 1.0, "Last_Gain": 0.5}]', "repeats the key 'Last_Gain'"),
        ("t.json", "[" * 100_000, "nested deeper than 200 levels"),
        ("t.json", '[{"Model": "gptj", "Last_Gain": "\\ud800"}]', "half of a surrogate pair"),
        ("t.jsonl", '{"Model": "gptj", "Last_Gain": 1, "Last_Gain": 2}\n', "repeats the key"),
        ("t.csv", "Model,Last_Gain\ngptj," + "9" * 400 + "\n", "is inf"),
    ],
)
def test_a_table_that_says_two_things_or_none_is_refused(name: str, content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=told):
        read_all(tmp_path / name)


def read_all(path: Path) -> None:
    """Read a table, and the numbers of its one metric."""
    table = read_table(path, REGISTRY)
    for column in table.columns.values():
        table._values("last_gain", "gptj", column, table.rows["gptj"])


def test_a_line_of_a_table_ends_with_a_newline_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"Model": "gptj", "Prompt": f"a{odd}b", "Last_Gain": 1.0} for odd in "\u2028\u2029\x85\x0b"]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert [row.cells["Prompt"] for row in read_records(path).rows] == [row["Prompt"] for row in rows]


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+1", "-1", "\tx", "'=x", "'", "", "plain", "''-x"])
def test_no_cell_of_a_table_is_a_formula_and_each_comes_back(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_csv(path, ("Model", "Prompt", "Last_Gain"), [{"Model": "gptj", "Prompt": text, "Last_Gain": -0.5}])
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["Prompt"][:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert row["Last_Gain"] == "-0.5", "a number is no text"
    assert read_records(path).rows[0].cells["Prompt"] == text


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, "{}", "[]", "null", '{"version": 2}', '{"version": 2, "verdicts": 3, "checks": [], "complete": 1}',
     '{"version": 2, "verdicts": [{"id": 1}], "checks": [], "complete": true, "provenance": {}}', "\xff", "",
     '{"version": 1e999}', '{"version": 2, "verdicts": [], "checks": [], "complete": true, "provenance": []}'],
)  # fmt: skip
def test_a_broken_run_is_no_difference(content: str, tmp_path: Path) -> None:
    broken = tmp_path / "verdicts.json"
    broken.write_text(content, encoding="latin-1")
    done = CliRunner().invoke(app, ["diff", str(broken), str(broken)])
    assert (done.exit_code, done.output[:7]) == (2, "ERROR: ")
    with pytest.raises(BadInput):
        read_verdicts(broken)
