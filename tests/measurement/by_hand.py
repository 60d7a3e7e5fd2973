"""What a plain run of one prompt through transformers shows: references for passes, in float64 and without padding."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from refutable.measurement.instrument.taps import first_tensor
from refutable.measurement.loading.loaded import LoadedModel

FIVE = ("gpt2", "gptj", "gpt_neox-parallel", "llama", "opt")


class Seen(NamedTuple):
    """States before the first block and after each, (layers + 1, T, D); patterns, (layers, heads, T, T); log p."""

    states: np.ndarray
    patterns: np.ndarray
    log_p: np.ndarray


@torch.inference_mode()
def seen_by_hand(model: LoadedModel, ids: list[int]) -> Seen:
    """Run one prompt with eager attention, which shows its probabilities."""
    states: list[torch.Tensor] = []
    network: Any = model.network
    was, handles = network.config._attn_implementation, []
    network.set_attn_implementation("eager")
    for block in model.blocks():
        handles.append(block.register_forward_hook(lambda m, a, out: states.append(first_tensor(out)[0].double())))
    first = model.blocks()[0].register_forward_pre_hook(
        lambda m, a, k: states.append((a[0] if a else k["hidden_states"])[0].double()), with_kwargs=True
    )
    out = network(torch.tensor([ids]), use_cache=False, output_attentions=True)
    for handle in (*handles, first):
        handle.remove()
    network.set_attn_implementation(was)
    patterns = torch.stack([one[0] for one in out.attentions]).double().numpy()
    return Seen(torch.stack(states).numpy(), patterns, torch.log_softmax(out.logits[0].double(), dim=-1).numpy())
