"""Batches: how prompts are padded, and what decides which of them may share one (`cutting` says which do)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch


def switch_lengths(network: Any) -> tuple[int, ...]:
    """Return the lengths beyond which a network turns positions by other frequencies, ascending.

    Long RoPE has one: the longest sequence of a batch decides for all of them, so that a prompt's numbers would depend
    on its company.
    """
    settings = getattr(network.config, "rope_parameters", None) or {}
    kinds = [settings, *(one for one in settings.values() if isinstance(one, Mapping))]
    long = [one for one in kinds if one.get("rope_type") == "longrope"]
    return tuple(sorted({int(one["original_max_position_embeddings"]) for one in long}))


def depends_on_company(network: Any) -> bool:
    """Whether a prompt's numbers depend on the others of its batch, so that it must be run alone.

    So it is where bitsandbytes multiplies in 8 bits: which inputs are outliers is decided for all tokens together.
    """
    settings = getattr(network.config, "quantization_config", None)
    asked = settings if isinstance(settings, Mapping) else getattr(settings, "__dict__", {})
    return bool(asked.get("load_in_8bit") or asked.get("_load_in_8bit"))


class Padded(NamedTuple):
    """Prompts of one batch, right-padded, on the device."""

    tokens: torch.Tensor  # ids, (B, T)
    mask: torch.Tensor  # 1 at a token, 0 at padding, (B, T)
    last: torch.Tensor  # index of each prompt's last token, (B,)
    ends: torch.Tensor  # the distinct values of `last`, ascending
    end_of: torch.Tensor  # each prompt's index into `ends`, (B,)
    real: torch.Tensor  # positions that hold a token, as indices into B * T, (tokens,)


def pad(ids: Sequence[Sequence[int]], device: torch.device) -> Padded:
    """Pad a batch on the host, where indexing never waits for the device."""
    lengths = np.array([len(one) for one in ids])
    tokens = np.zeros((len(ids), lengths.max()), dtype=np.int64)
    for row, one in enumerate(ids):
        tokens[row, : len(one)] = one
    mask = np.arange(lengths.max())[None, :] < lengths[:, None]
    ends, end_of = np.unique(lengths - 1, return_inverse=True)
    parts = (tokens, mask.astype(np.int64), lengths - 1, ends, end_of, np.flatnonzero(mask))
    return Padded(*(torch.from_numpy(part).to(device) for part in parts))
