"""The work that every row of the table does: one model, one set of token ids, and the batches they are split into."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata

import numpy as np
import torch

from refutable.measurement.instrument.cutting import LIMIT, OVERHEAD, cut_batches
from refutable.measurement.loading.load import load_model
from refutable.measurement.loading.loaded import LoadedModel
from refutable.models.device import choose_device
from refutable.models.file_hashes import FileHashes
from refutable.models.registry import load_registry
from refutable.models.subject import INIT, PRETRAINED, Subject
from refutable.models.weights import Finder
from refutable.prompts.find import load_prompts
from refutable.prompts.prompt_set import Prompt, PromptSet
from refutable.traces.store import cache_folder

PROMPT_SET = "grand-unified-25"


@dataclass(frozen=True, slots=True)
class FixedTokens:
    """A tokenizer with fixed ids, for more prompts than there are texts."""

    ids: list[list[int]]

    def encode(self, prompts: PromptSet) -> list[list[int]]:
        """Return the ids; there must be one list per prompt."""
        assert len(prompts) == len(self.ids)
        return self.ids

    def decode(self, token: int) -> str:
        """Return the id: a stand-in token has no text."""
        return f"<{token}>"


@dataclass(frozen=True, slots=True)
class Workload:
    """One model and the prompts it is run on.

    Attributes:
        model: loaded, on its device.
        copy: loads the same weights again, for libraries that rebuild the network they are given.
        prompts: the prompts.
        ids: token ids of each.
        cuts: prompt indices of each of this project's batches.
    """

    model: LoadedModel
    copy: Callable[[], LoadedModel]
    prompts: PromptSet
    ids: list[list[int]]
    cuts: list[list[int]]

    @property
    def tokens(self) -> int:
        """Number of tokens, not counting padding."""
        return sum(map(len, self.ids))

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.model.network.parameters())

    @property
    def weight_bytes(self) -> int:
        """Bytes of the parameters."""
        return sum(parameter.nbytes for parameter in self.model.network.parameters())

    def describe(self) -> str:
        """Return in one line what was run, where and with which versions."""
        subject, source = self.model.subject, self.model.source
        where = torch.cuda.get_device_name(self.model.device) if self.model.device.type == "cuda" else "CPU"
        threads = f", {torch.get_num_threads()} threads" if where == "CPU" else ""
        return (
            f"{self.model.row.title} ({source.kind}, {subject.dtype}) on {where}{threads}; {len(self.ids)} prompts of"
            f" {min(map(len, self.ids))}-{max(map(len, self.ids))} tokens ({self.tokens} in all),"
            f" {len(self.cuts)} length buckets; torch {torch.__version__},"
            f" transformers {metadata.version('transformers')}"
        )


def make_workload(model: str | None, weights: str | None, dtype: str | None, device: str, count: int) -> Workload:
    """Load a model and tokenise the prompts.

    Args:
        model: a name in the registry; None means freshly drawn GPT-J on a GPU, SmolLM2 on a CPU.
        weights: ``pretrained``, ``init`` or a path; None means ``pretrained`` for a named model.
        dtype: None means bfloat16 on a GPU, float32 on a CPU.
        device: as ``--device`` of a run.
        count: number of prompts; beyond the set's 25, ids are drawn (seed 0) with the set's own lengths.

    Raises:
        RefutableError: there is no such model, or its weights are not available.
    """
    at = choose_device(device)
    on_gpu = at.type == "cuda"
    row = load_registry()[model or ("gptj" if on_gpu else "smollm2")]
    subject = Subject(
        row.name,
        weights or (INIT if model is None and on_gpu else PRETRAINED),
        dtype=dtype or ("bfloat16" if on_gpu else "float32"),
        device=at.name,
        named=model is not None,
    )
    source = Finder(FileHashes(cache_folder()), at, cpu_asked=True).find(row, subject)
    loaded = load_model(row, subject, source, cache_folder())
    loaded, prompts, ids = _with_prompts(loaded, load_prompts(PROMPT_SET), count)
    kind = loaded.device.type
    cuts = cut_batches([*map(len, ids)], overhead=OVERHEAD.get(kind, 512), limit=LIMIT.get(kind, 8192))
    return Workload(loaded, lambda: load_model(row, subject, source, cache_folder()), prompts, ids, cuts)


def pad(ids: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return token ids and mask, right-padded to (B, T), and the index of each prompt's last token, (B,)."""
    lengths = torch.tensor([len(one) for one in ids])
    tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(one) for one in ids], batch_first=True)
    mask = torch.arange(tokens.shape[1])[None, :] < lengths[:, None]
    return tokens.to(device), mask.long().to(device), (lengths - 1).to(device)


def _with_prompts(model: LoadedModel, prompts: PromptSet, count: int) -> tuple[LoadedModel, PromptSet, list[list[int]]]:
    ids = model.tokenizer.encode(prompts)
    if count <= len(prompts):
        chosen = PromptSet(prompts.name, prompts.prompts[:count], prompts.complexity)
        return model, chosen, model.tokenizer.encode(chosen)
    vocabulary = int(model.network.get_input_embeddings().num_embeddings)
    generator = np.random.default_rng(0)
    lengths = [len(ids[i % len(ids)]) for i in range(count)]
    drawn = [generator.integers(vocabulary, size=length).tolist() for length in lengths]
    extended = tuple(Prompt(text=f"stand-in {i}", category="stand-in", tokens=n) for i, n in enumerate(lengths))
    return (
        dataclasses.replace(model, tokenizer=FixedTokens(drawn)),
        PromptSet(f"{prompts.name}-to-{count}", extended, {}),
        drawn,
    )
