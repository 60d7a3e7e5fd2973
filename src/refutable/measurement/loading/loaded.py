"""A model that is loaded and ready to be measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from refutable.models.families import Family
from refutable.models.row import ModelRow
from refutable.models.subject import Subject, WeightsSource
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import Bos


class Tokenizer(Protocol):
    """What is asked of a tokenizer."""

    def encode(self, prompts: PromptSet, bos: Bos = "default") -> list[list[int]]:
        """Return the token ids of each prompt, special tokens as its own tokenizer adds them, or as `bos` says."""
        ...

    def decode(self, token: int) -> str:
        """Return the text of one token."""
        ...


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A causal language model in evaluation mode, with what is known of it.

    Attributes:
        row: its row of the registry.
        subject: what was asked for.
        source: which weights these are.
        network: the Hugging Face model.
        tokenizer: the model's own, or stand-in tokens.
        attention_implementation: how it runs attention.
    """

    row: ModelRow
    subject: Subject
    source: WeightsSource
    network: Any
    tokenizer: Tokenizer
    attention_implementation: str

    @property
    def family(self) -> Family:
        """Where its taps are."""
        return self.row.architecture

    @property
    def device(self) -> torch.device:
        """The device of its input embedding."""
        device: torch.device = self.network.get_input_embeddings().weight.device
        return device

    @property
    def width(self) -> int:
        """Width of the residual stream."""
        return int(getattr(self.config, "hidden_size", None) or self.config.d_model)

    @property
    def heads(self) -> int:
        """Number of attention heads in a block."""
        return int(getattr(self.config, "num_attention_heads", None) or self.config.n_heads)

    @property
    def window(self) -> int | None:
        """How many keys back a query of some block may see at most; None without a window."""
        window = getattr(self.config, "sliding_window", None) or getattr(self.config, "window_size", None)
        return int(window) if window else None

    @property
    def scale(self) -> float:
        """Factor that a block puts on both updates: 1 in most families."""
        return float(getattr(self.config, self.family.scale)) if self.family.scale else 1.0

    @property
    def config(self) -> Any:
        """Its configuration as transformers reads it."""
        return self.network.config

    def blocks(self) -> Sequence[torch.nn.Module]:
        """Return its blocks, first to last."""
        blocks: Sequence[torch.nn.Module] = self.network.get_submodule(self.family.blocks)
        return blocks

    def backbone(self, tokens: torch.Tensor, mask: torch.Tensor) -> None:
        """Run the blocks and the final norm, without the head; hooks read what is needed."""
        self.network.base_model(input_ids=tokens, attention_mask=mask, use_cache=False)
