"""Token ids for prompts: a model's own tokenizer, or fixed stand-ins for a model that has none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refutable.errors import NotMeasured
from refutable.prompts import PromptSet


@dataclass(frozen=True, slots=True)
class OwnTokenizer:
    """The model's own tokenizer, as transformers loads it."""

    tokenizer: Any

    def encode(self, prompts: PromptSet) -> list[list[int]]:
        """Return the ids of each prompt, special tokens as the tokenizer adds them by default."""
        return [list(self.tokenizer(prompt.text)["input_ids"]) for prompt in prompts.prompts]

    def decode(self, token: int) -> str:
        """Return the text of one token."""
        text: str = self.tokenizer.decode([token])
        return text


@dataclass(frozen=True, slots=True)
class StandInTokens:
    """Fixed seeded ids of the prompts' recorded lengths, for a model that has no tokenizer.

    Attributes:
        vocabulary: ids are drawn uniformly below this.
    """

    vocabulary: int

    def encode(self, prompts: PromptSet) -> list[list[int]]:
        """Return the same ids for the same prompt set, always."""
        generator = np.random.default_rng(int(prompts.hash[:16], 16))
        return [generator.integers(self.vocabulary, size=prompt.tokens).tolist() for prompt in prompts.prompts]

    def decode(self, token: int) -> str:
        """Return the id: a stand-in token has no text."""
        return f"<{token}>"


def load_tokenizer(location: Path | None, vocabulary: int) -> OwnTokenizer | StandInTokens:
    """Load the tokenizer of a directory, or stand-in tokens where there is none."""
    if location is None:
        return StandInTokens(vocabulary)
    from transformers import AutoTokenizer

    return OwnTokenizer(AutoTokenizer.from_pretrained(location, local_files_only=True, trust_remote_code=False))


def check_lengths(name: str, config: Any, ids: list[list[int]]) -> None:
    """Refuse prompts that are longer than a model's configuration says it can read.

    Raises:
        NotMeasured: one is.
    """
    longest, most = max(len(one) for one in ids), getattr(config, "max_position_embeddings", None)
    if most is not None and longest > most:
        raise NotMeasured(
            f"{name} reads at most {most} tokens and a prompt has {longest}; shorten or leave out that prompt"
        )
