"""The rotation probe: real architectures turn attention's pattern alone, and one that turns its values is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny import VARIANTS

from refutable.errors import InstrumentError, NotMeasured
from refutable.measurement.loading.load import draw
from refutable.measurement.passes.rotation_probe import probe_rotation
from refutable.models.families import family_of
from refutable.models.subject import Subject

ROTARY = (
    "gptj",
    "codegen",
    "gpt_neox-parallel",
    "gpt_neox-sequential",
    "llama",
    "mixtral",
    "phi",
    "falcon-7b",
    "cohere",
)


def drawn(name: str) -> tuple[Any, Any]:
    config = VARIANTS[name].config
    return draw(config, Subject("tiny", "init"), "eager").eval(), family_of(config["model_type"])


def columns(trace: Any) -> tuple[np.ndarray, np.ndarray]:
    return tuple(trace.blocks[name].to_numpy() for name in ("held_update_change", "free_update_change"))


@pytest.mark.parametrize("name", ROTARY)
def test_with_the_pattern_held_no_rotation_reaches_the_stream_to_the_bit(name: str) -> None:
    held, free = columns(probe_rotation(*drawn(name), "key", {}))
    assert len(held) == VARIANTS[name].layers
    assert (held == 0).all()
    assert (free > 1e-4).all()


@pytest.mark.parametrize("name", ["gptj", "llama"])
def test_a_model_that_turns_its_values_is_seen(name: str) -> None:
    network, family = drawn(name)

    def turn(module: torch.nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        """Turn what attention adds by an angle that grows with the position."""
        turned = kwargs["position_ids"] * 0.1 if name == "gptj" else kwargs["position_embeddings"][1][..., 0]
        angle = turned[..., None]
        update = output[0]
        a, b = update.chunk(2, dim=-1)
        return (torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1), *output[1:])

    for block in network.get_submodule(family.blocks):
        block.get_submodule(family.attention).register_forward_hook(turn, with_kwargs=True)
    held, _ = columns(probe_rotation(network, family, "key", {}))
    assert (held > 1e-3).all()


def test_what_has_no_rotation_is_not_measured_and_a_switch_that_does_nothing_is_an_error() -> None:
    with pytest.raises(NotMeasured, match="learned positions: there is no rotation"):
        probe_rotation(*drawn("gpt2"), "key", {})
    network, family = drawn("llama")
    network.model.rotary_emb.register_forward_hook(
        lambda m, a, out: (torch.ones_like(out[0]), torch.zeros_like(out[1]))
    )
    with pytest.raises(InstrumentError, match="switches nothing off"):
        probe_rotation(network, family, "key", {})
