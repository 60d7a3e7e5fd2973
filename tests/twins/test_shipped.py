"""The models that are shipped: what they are, how large, what they learned, and that their gains are what they seem."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

import refutable
from refutable.errors import BadInput
from refutable.models.device import choose_device
from refutable.models.file_hashes import FileHashes
from refutable.models.registry import ModelRegistry, load_registry
from refutable.models.row import ModelRow
from refutable.models.selection import select
from refutable.models.selector import Selector
from refutable.models.subject import WeightsKind
from refutable.models.weights import Finder
from refutable.prompts.find import load_prompts

MEGABYTE = 1_000_000
ROWS = [row for row in load_registry() if row.twin]
RECORDED = Path(refutable.__file__).parent / "twins" / "recorded"
BLOCKS = {"gpt_neox": "gpt_neox.layers", "gptj": "transformer.h", "gpt2": "transformer.h", "llama": "model.layers"}


def folder(row: ModelRow) -> Path:
    assert row.weights is not None
    return Path(row.weights)


def test_they_are_small_and_of_every_wiring() -> None:
    sizes = {row.name: sum(file.stat().st_size for file in folder(row).iterdir()) for row in ROWS}
    assert len(ROWS) == 9
    assert max(sizes.values()) < 4 * MEGABYTE
    assert sum(sizes.values()) < 24 * MEGABYTE
    assert {row.fact("wiring") for row in ROWS} == {"parallel", "sequential"}
    assert {row.family for row in ROWS} == set(BLOCKS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_its_last_gain_is_that_of_a_loop_of_a_dozen_lines(row: ModelRow) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder(row), dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder(row))
    prompts = [prompt.text for prompt in load_prompts("grand-unified-25").prompts]
    kept: dict[str, torch.Tensor] = {}
    last = model.get_submodule(BLOCKS[row.family])[-1]

    def keep(module: torch.nn.Module, args: tuple[torch.Tensor, ...], result: object) -> None:
        output = result[0] if isinstance(result, tuple) else result
        assert isinstance(output, torch.Tensor)
        kept.update(before=args[0][0, -1], after=output[0, -1])

    last.register_forward_hook(keep)
    gains = []
    for text in prompts:
        with torch.no_grad():
            model(**{"input_ids": tokenizer(text, return_tensors="pt")["input_ids"]})
        before, after = (math.sqrt(math.fsum(x * x for x in kept[key].tolist())) for key in ("before", "after"))
        gains.append(after / before)
    trace = refutable.measure(model, tokenizer, prompts)
    assert refutable.metric("last_gain", trace).values == pytest.approx(gains, rel=1e-5)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_its_card_says_what_it_learned(row: ModelRow) -> None:
    card = (folder(row) / "README.md").read_text(encoding="utf-8")
    loss = float(card.split("| held-out loss | ")[1].split()[0])
    baselines = json.loads((RECORDED / "corpus.json").read_text())["baselines_nats_per_token"]["2048"]
    assert loss < baselines["unigram"] / 1.8
    assert loss < baselines["5-gram on 20.0 M tokens"]
    assert "dict-gcide" in card


def found(row: ModelRow, tmp_path: Path) -> WeightsKind:
    device = choose_device("cpu")
    registry = ModelRegistry([row])
    selection = select(registry, device, models=(row.name,), weights="pretrained")
    source = Finder(FileHashes(tmp_path), device, offline=True).find(row, selection.subject(row.name))
    return source.kind


def test_their_weights_are_called_twin_and_no_other_weights_pass_for_them(tmp_path: Path) -> None:
    row = ROWS[0]
    assert found(row, tmp_path) is WeightsKind.TWIN
    shutil.copytree(folder(row), tmp_path / "copy")
    weights = tmp_path / "copy" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(BadInput, match="not the weights that the registry has of"):
        found(row.model_copy(update={"weights": str(tmp_path / "copy")}), tmp_path)


def test_a_selector_means_them_only_where_it_says_so() -> None:
    registry = load_registry()
    twins = {row.name for row in ROWS}
    assert not twins & {row.name for row in Selector(pretrained=True).select(registry)}
    assert twins <= {row.name for row in Selector(pretrained=True, twins=True).select(registry)}
    assert {row.name for row in Selector(names=("twin-*",)).select(registry)} == twins
    parallel = {row.name for row in Selector(wiring="parallel", twins=True, pretrained=True).select(registry)}
    assert twins & parallel == {row.name for row in ROWS if row.fact("wiring") == "parallel"}
