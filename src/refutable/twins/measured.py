"""Measures a twin from weights that were kept."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from refutable.twins.corpus.tokens import load_tokens
from refutable.twins.design import Twin
from refutable.twins.networks import network_of
from refutable.twins.outcomes import outcomes_of
from refutable.twins.snapshot import held_out_loss, measure
from refutable.twins.trainer import LAST_HELD_OUT_WINDOWS


def outcomes_of_weights(weights: Path, twin: Twin, tokens: Path) -> dict[str, float]:
    """Return a twin's outcomes and its held-out loss (nats a token), on the CPU in float32.

    Args:
        weights: its safetensors file.
        twin: what it is.
        tokens: folder of its text's tokens, with the prompts' token ids.

    Raises:
        TwinsError: the tokens are not there.
    """
    text, network = load_tokens(tokens), network_of(twin.cell, twin.size).eval()
    kept = load_file(weights)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(kept[name])
    windows = torch.from_numpy(text.held_out_windows(twin.size.context, LAST_HELD_OUT_WINDOWS))
    return {**outcomes_of(measure(network, twin, text.prompts)), "held_out_loss": held_out_loss(network, windows)}
