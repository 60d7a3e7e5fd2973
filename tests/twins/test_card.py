from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from twins_made_up import tokens

import refutable
from refutable.twins.card import CARD, twin_of, write_card
from refutable.twins.design import SIZES, Twin, cell_of
from refutable.twins.errors import TwinsError
from refutable.twins.networks import draw, network_of
from refutable.twins.snapshot import last_gain, measure


@pytest.mark.parametrize("name", ["base", "learned-positions", "rmsnorm", "gptj"])
def test_a_carded_twin_is_loaded_by_transformers_and_gives_the_gain_it_had(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    twin = Twin(cell_of(name), SIZES["tiny"], 0)
    network = network_of(twin.cell, twin.size).eval()
    draw(network, twin)
    kept = {key: tensor.detach().to(torch.bfloat16).clone() for key, tensor in network.named_parameters()}
    save_file(kept, tmp_path / f"{twin.name}.safetensors")
    (tmp_path / "tokenizer.json").write_text("{}")
    facts = {"parameters": 1, "held_out": 5.0, "unigram": 6.0, "five_gram": 5.5}
    folder = write_card(tmp_path / f"{twin.name}.safetensors", tmp_path, tmp_path / "out", facts)
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    gain = np.log(refutable.metric("last_gain", refutable.measure(loaded, None, tokens().prompts)).values)
    np.testing.assert_allclose(gain, last_gain(measure(network, twin, tokens().prompts)), atol=0.01)  # bfloat16
    card = (folder / CARD).read_text()
    assert "dict-gcide" in card
    assert "5.000 nats" in card


def test_a_name_that_is_no_twin_is_refused_with_the_form() -> None:
    with pytest.raises(TwinsError, match=r"write SIZE\.CELL\.SEED"):
        twin_of("base")
    assert twin_of("medium.depth-16-rotary-1.0.3").cell.name == "depth-16-rotary-1.0"
