"""What a claim is tried on: a model, with which weights, at which revision, in which dtype, on which device."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from refutable.models.config import Config

PRETRAINED = "pretrained"
INIT = "init"
OWN_TOKENIZER = "own tokenizer"
GIVEN_TOKENS = "given token ids"
IN_TEMPLATE = ", in its chat template"  # added to where token ids come from
STAND_IN = "stand-in"  # the digest of a tokenizer that is not there


class WeightsKind(StrEnum):
    """What the weights are, shown with every verdict; set in weights.py, from_folder.py, from_gguf.py, adapter.py."""

    PRETRAINED = "pretrained"
    HUB = "hub, unverified"
    DEQUANTISED = "dequantised"
    QUANTISED = "quantised"
    ADAPTED = "with adapter"
    LOCAL = "local"
    INITIALISATION = "initialisation"
    PUBLISHED = "published table"
    TWIN = "twin"


@dataclass(frozen=True, slots=True)
class Subject:
    """A model as it is asked for.

    Attributes:
        model: name of its row in the registry.
        weights: ``pretrained``, ``init`` or a path.
        revision: commit or branch asked for; None takes the registry's.
        dtype: dtype of weights and activations; norms are float32 whatever it is.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        seed: of freshly drawn weights.
        tokenizer: path of the weights beside which the tokenizer of freshly drawn ones lies; None: as the model's own.
        named: whether the user named it, so that it may be downloaded.
        adapter: folder of an adapter that is merged into the weights; None without one.
        chat_template: whether prompts are put into the chat template of its tokenizer.
    """

    model: str
    weights: str = PRETRAINED
    revision: str | None = None
    dtype: str = "float32"
    device: str = "cpu"
    seed: int = 0
    tokenizer: str | None = None
    named: bool = False
    adapter: str | None = None
    chat_template: bool = False

    @property
    def device_type(self) -> str:
        """The device without its index."""
        return self.device.split(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """Weights that were found: what they are, where, and the hashes that identify them.

    Attributes:
        kind: what they are.
        detail: the rest of the story, in words: the format, the rule and seed, the registered hash.
        digest: SHA-256 of the weights, or of all that determines freshly drawn ones.
        form: how they are stored; ``draw`` is not at all.
        location: directory of weight files, or a GGUF file.
        config: the configuration's own keys.
        config_from: where the configuration comes from.
        tokenizer: directory that holds the tokenizer, or None: stand-in tokens.
        tokenizer_digest: its hash; `STAND_IN` without one.
        revision: the commit these weights are of, where known.
        packing: how they are packed, in words; empty for plain numbers.
        adapter: folder of an adapter to be merged into them, or None.
        dropped: bytes of its weight files that were dropped after they were measured; 0 where they are there.
    """

    kind: WeightsKind
    detail: str
    digest: str
    form: Literal["safetensors", "bin", "gguf", "draw"]
    location: Path | None
    config: Config
    config_from: str
    tokenizer: Path | None
    tokenizer_digest: str
    revision: str | None
    packing: str = ""
    adapter: Path | None = None
    dropped: int = 0

    @property
    def label(self) -> str:
        """Their kind as reports show it: ``quantised (gptq, 4 bit)``, else the kind alone."""
        return f"{self.kind} ({self.packing})" if self.packing else str(self.kind)

    @property
    def tokens(self) -> str:
        """Where token ids come from, in words."""
        return OWN_TOKENIZER if self.tokenizer_digest != STAND_IN else "stand-in tokens"
