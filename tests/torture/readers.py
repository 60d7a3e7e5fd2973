"""Every reader of what users hand over, with files that it reads: whatever is changed in them, none may crash."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from gguf_files import write_gguf
from mutate import mutated
from safetensors.torch import save_file
from tally import Tally
from tiny import VARIANTS, row_of, tiny_model
from tokenizers import Tokenizer, models, pre_tokenizers

from refutable.claims.cases import cases_of
from refutable.claims.file import read_claims
from refutable.errors import RefutableError
from refutable.evidence.published.column_map import read_map
from refutable.evidence.published.read import read_table
from refutable.measurement.loading.load import quiet
from refutable.measurement.loading.shape import configured
from refutable.measurement.loading.tokens import load_tokenizer
from refutable.models.from_folder import read_config
from refutable.models.from_gguf import check_gguf
from refutable.models.gguf_header import read_gguf
from refutable.models.registry import load_registry
from refutable.models.safetensors_header import read_header
from refutable.models.same_model import check_same
from refutable.models.weight_files import weight_files
from refutable.prompts.find import given_prompts
from refutable.prompts.in_memory import prompts_from
from refutable.reports.baseline import Comparison
from refutable.reports.catalogue import read_catalogue
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.journal import read_journal
from refutable.verdicts.preregistration.lockfile import read_lock

ROOT = Path(__file__).parents[2]
SECONDS = 20.0  # that one file may take; the largest a reader takes is bounded, and so is its time
REGISTRY = load_registry()
LLAMA = row_of(VARIANTS["llama"])
COMPARED = tuple(field.name for field in fields(Comparison))
PROMPTS = prompts_from(["The capital of France is Paris.", "1234 don't"]).prompts


@dataclass(frozen=True)
class Reader:
    """A reader: the name of the file that it is given, good contents, and how it is called."""

    file: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], object]


def readers(folder: Path) -> dict[str, Reader]:
    """Return every reader; `folder` is where binary seeds are made."""
    quiet()
    network = tiny_model(VARIANTS["llama"]).network
    save_file({"w": torch.zeros(3, 4), "b": torch.ones(5, dtype=torch.bfloat16)}, folder / "s.safetensors")
    write_gguf(folder / "s.gguf", network)
    rows = [{"Model": "gptj", "Prompt": f"p{i}", "Category": "c", "Last_Gain": 1.0 + i} for i in range(4)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "s.parquet")
    table_csv = "Model,Prompt,Category,Last_Gain\n" + "".join(",".join(map(str, row.values())) + "\n" for row in rows)
    prompts = [{"text": "One two", "category": "a", "tokens": 2}, {"text": "Three é"}]
    run = json.loads((ROOT / "reports" / "published" / "verdicts.json").read_text())
    beside = {"selection": {"cases": 6, "of": 9, "by": ["-k one"]}, "comparison": {key: ["a: b"] for key in COMPARED}}
    run = {**run, **beside, "verdicts": run["verdicts"][:6], "checks": run["checks"][:2]}
    journal = [
        {"format": 1, "kind": "run", **run["provenance"]},
        *({"kind": "verdict", **one} for one in run["verdicts"]),
    ]
    journal += [*({"kind": "check", **one} for one in run["checks"])]
    journal += [*({"kind": name, **told} for name, told in beside.items()), {"kind": "end"}]
    mapping = "model: name\nmodels: {g: gptj, x: null}\nsummary: mean\nmetrics:\n  last_gain: {column: gain}\n"
    models_yaml = "models:\n  mine:\n    title: Mine\n    family: llama\n    parameters: 5\n    organisation: me\n" + (
        "    licence: none\n    config: {model_type: llama, num_hidden_layers: 3, num_attention_heads: 4}\n"
    )
    config = json.dumps({**network.config.to_diff_dict(), "rope_scaling": None, "quantization_config": None}).encode()
    index = json.dumps({"metadata": {}, "weight_map": {"a": "s.safetensors", "b": "s.safetensors"}}).encode()
    (folder / "good").mkdir(exist_ok=True)
    (folder / "good" / "s.safetensors").write_bytes((folder / "s.safetensors").read_bytes())
    lock = (ROOT / "claims.lock").read_bytes()
    binary = {name: (folder / name).read_bytes() for name in ("s.safetensors", "s.gguf", "s.parquet")}
    return {
        "claims": Reader(
            "claims.yaml", _claims(), lambda path: cases_of(read_claims(path).claims, REGISTRY, path.name)
        ),
        "models": Reader("models.yaml", (models_yaml.encode(),), load_registry),
        "map": Reader("map.yaml", (mapping.encode(),), read_map),
        "lock": Reader("claims.lock", (lock[: lock.index(b"\n", 3000) + 1],), read_lock),
        "catalogue": Reader("ids.txt", (b"a claim\nb number a\n# c\n",), read_catalogue),
        "table.csv": Reader("t.csv", (table_csv.encode(),), _table),
        "table.json": Reader("t.json", (json.dumps(rows).encode(),), _table),
        "table.jsonl": Reader("t.jsonl", ("\n".join(map(json.dumps, rows)).encode(),), _table),
        "table.parquet": Reader("t.parquet", (binary["s.parquet"],), _table),
        "prompts.txt": Reader("p.txt", ("One two\nThree é\n".encode(),), _prompts),
        "prompts.jsonl": Reader("p.jsonl", ("\n".join(map(json.dumps, prompts)).encode(),), _prompts),
        "prompts.csv": Reader("p.csv", (b"text,category,tokens\nOne,a,2\nTwo,b,\n",), _prompts),
        "prompts.yaml": Reader(
            "p.yaml",
            (b"name: mine\nsource: me\ntokens_by: gpt2\nprompts:\n  - {text: One two, category: a, tokens: 2}\n",),
            _prompts,
        ),
        "journal": Reader("journal.jsonl", ("\n".join(map(json.dumps, journal)).encode() + b"\n",), read_journal),
        "verdicts": Reader("verdicts.json", (json.dumps(run).encode(),), read_verdicts),
        "config": Reader("config.json", (config,), _config),
        "index": Reader("good/model.safetensors.index.json", (index,), lambda path: weight_files(path.parent)),
        "tokenizer": Reader("tok/tokenizer.json", (_tokenizer(),), _tokens),
        "safetensors": Reader("w.safetensors", (binary["s.safetensors"],), read_header),
        "gguf": Reader("w.gguf", (binary["s.gguf"][:6000],), lambda path: check_gguf(read_gguf(path), LLAMA)),
    }


def _claims() -> tuple[bytes, ...]:
    whole = (ROOT / "claims" / "gptj-parallel-test-notebook.yaml").read_bytes()
    own = (ROOT / "tests" / "integration" / "conftest.py").read_text().split('CLAIMS = """\\\n')[1].split('"""')[0]
    including = b"include: [more.yaml, deep/one.yaml]\n" + own.encode()
    return own.encode(), whole[:9000], including.replace(b"Cauchy and Schwarz", b"proofs/triangle.md")


def _cases(path: Path) -> None:
    cases_of(read_claims(path).claims, REGISTRY, path.name)


def _prompts(path: Path) -> None:
    given_prompts(str(path))


def _table(path: Path) -> None:
    table = read_table(path, REGISTRY)
    for model in table.rows:
        for name, column in table.columns.items():
            table._values(name, model, column, table.rows[model])


def _config(path: Path) -> None:
    config = read_config(path)
    check_same(LLAMA, config, path.name)
    configured(config)


def _tokenizer() -> bytes:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<s>", *alphabet, "12", "123"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("1", "2"), ("12", "3")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer.to_str().encode()


def _tokens(path: Path) -> None:
    (path.parent / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    (path.parent / "config.json").write_text('{"model_type": "llama"}')
    load_tokenizer(path.parent, 1000).encode(PROMPTS)


def fuzz(name: str, reader: Reader, folder: Path, rng: random.Random, *, seconds: float, most: int) -> Tally:
    """Give a reader changed files until the time is over; all it may do is read them or say what is wrong."""
    tally, end = Tally(f"fuzz {name}"), time.monotonic() + seconds
    path = folder / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    while time.monotonic() < end and tally.trials < most:
        seed = rng.choice(reader.seeds)
        data = mutated(seed, rng, reader.seeds)
        path.write_bytes(data)
        began = time.monotonic()
        try:
            reader.read(path)
            outcome = "read"
        except RefutableError as error:
            outcome = "refused" if str(error).strip() else "unclear"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            outcome = "unclear"
            tally.add(outcome, f"{type(error).__name__}: {str(error)[:200]} on {data[:400]!r}")
            continue
        if time.monotonic() - began > SECONDS:
            outcome = "stuck"
        tally.add(outcome, repr(data[:400]))
    return tally
