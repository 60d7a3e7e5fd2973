"""Token ids for prompts: a model's own tokenizer, or fixed stand-ins for a model that has none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refutable.errors import NotMeasured
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import NO_BOS, Bos


@dataclass(frozen=True, slots=True)
class OwnTokenizer:
    """The model's own tokenizer, as transformers loads it."""

    tokenizer: Any

    def encode(self, prompts: PromptSet, bos: Bos = "default") -> list[list[int]]:
        """Return the ids of each prompt, special tokens as the tokenizer adds them by default.

        Args:
            prompts: the prompt set.
            bos: whether each begins with the beginning-of-sequence token: as the tokenizer has it, with it, or without.

        Raises:
            NotMeasured: the tokenizer has no such token, a prompt has no other, or it does so by itself.
        """
        ids = [list(self.tokenizer(prompt.text)["input_ids"]) for prompt in prompts.prompts]
        if bos == "default":
            return ids
        token = self.tokenizer.bos_token_id
        if token is None:
            raise NotMeasured("its tokenizer has no beginning-of-sequence token")
        bare = [one[1:] if one[:1] == [token] else one for one in ids]
        if bos == "without" and not all(bare):
            raise NotMeasured("a prompt has no token but the beginning-of-sequence token")
        asked = bare if bos == "without" else [[token, *one] for one in bare]
        if asked == ids:
            raise NotMeasured(f"prompts are tokenised {bos} a beginning-of-sequence token as it is: nothing varies")
        return asked

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

    def encode(self, prompts: PromptSet, bos: Bos = "default") -> list[list[int]]:
        """Return the same ids for the same prompt set, always.

        Raises:
            NotMeasured: asked for a beginning-of-sequence token, which none of them is.
        """
        if bos != "default":
            raise NotMeasured(NO_BOS)
        generator = np.random.default_rng(int(prompts.hash[:16], 16))
        return [generator.integers(self.vocabulary, size=prompt.tokens).tolist() for prompt in prompts.prompts]

    def decode(self, token: int) -> str:
        """Return the id: a stand-in token has no text."""
        return f"<{token}>"


@dataclass(frozen=True, slots=True)
class GivenTokens:
    """Token ids that were given in place of texts.

    Attributes:
        ids: of each prompt.
    """

    ids: tuple[tuple[int, ...], ...]

    def encode(self, prompts: PromptSet, bos: Bos = "default") -> list[list[int]]:
        """Return the ids as they were given.

        Raises:
            NotMeasured: asked for a beginning-of-sequence token, which nobody named.
        """
        if bos != "default":
            raise NotMeasured(NO_BOS)
        return [list(tokens) for tokens in self.ids]

    def decode(self, token: int) -> str:
        """Return the id: nobody said what text it stands for."""
        return f"<{token}>"


def load_tokenizer(location: Path | None, vocabulary: int) -> OwnTokenizer | StandInTokens:
    """Load the tokenizer of a directory, or stand-in tokens if there is none."""
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
