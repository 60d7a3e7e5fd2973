"""Reduces each attention head's pattern to a few numbers during the pass, one head at a time.

For families that use transformers' attention interface a head's pattern is computed from its queries and keys, reduced
and dropped before the next, so that one matrix (tokens, tokens) is held and no more. The others run eager attention,
whose own matrices are read head by head and not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from refutable.errors import NoSuchTap
from refutable.measurement.instrument.attention_probe import ACTIVE, visible_keys
from refutable.measurement.instrument.taps import hooked
from refutable.measurement.loading.loaded import LoadedModel

Reduce = Callable[[torch.Tensor], torch.Tensor]


@dataclass(slots=True)
class EachHead:
    """Collects what `reduce` makes of each head's pattern, in the order the blocks run.

    Attributes:
        lengths: number of tokens of each prompt of the batch.
        reduce: takes one head's probabilities on one prompt, (tokens, tokens), rows are queries, and returns (k,).
        seen: per block, (B, heads, k), float32.
    """

    lengths: Sequence[int]
    reduce: Reduce
    seen: list[torch.Tensor] = field(default_factory=list)

    def see_projections(
        self, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, scale: float | None
    ) -> None:
        """Compute each head's pattern from projections; arguments as `LastQuery.see_projections`."""
        heads, groups = query.shape[1], key.shape[1]
        factor = scale if scale is not None else query.shape[-1] ** -0.5

        def pattern(prompt: int, head: int, visible: torch.Tensor) -> torch.Tensor:
            n = len(visible)
            q, k = query[prompt, head, :n].float(), key[prompt, head // (heads // groups), :n].float()
            return torch.softmax((q @ k.T * factor).masked_fill(~visible, -torch.inf), dim=-1)

        rows = []
        for prompt, n in enumerate(self.lengths):
            visible = visible_keys(mask, prompt, n, query.device)
            rows.append(torch.stack([self.reduce(pattern(prompt, head, visible)) for head in range(heads)]))
        self.seen.append(torch.stack(rows))

    def see_probabilities(self, weights: torch.Tensor) -> None:
        """Take eager attention's probabilities, (B, heads, T, T)."""
        rows = []
        for own, n in zip(weights, self.lengths, strict=True):
            heads = (head[:n, :n].float() for head in own)
            rows.append(torch.stack([self.reduce(p / p.sum(dim=-1, keepdim=True)) for p in heads]))
        self.seen.append(torch.stack(rows))


@contextmanager
def watching(model: LoadedModel, watcher: EachHead) -> Iterator[None]:
    """Let `watcher` see the attention of every block of the passes run inside.

    Raises:
        NoSuchTap: at the end, if not every block showed its attention.
    """

    def see(module: torch.nn.Module, args: Any, output: Any) -> None:
        weights = output[1] if isinstance(output, tuple | list) and len(output) > 1 else None
        if torch.is_tensor(weights):
            watcher.see_probabilities(weights)

    eager = model.family.attention_implementation == "eager"
    modules = [block.get_submodule(model.family.attention) for block in model.blocks()] if eager else []
    token = ACTIVE.set(watcher)
    try:
        with hooked([module.register_forward_hook(see) for module in modules]):
            yield
    finally:
        ACTIVE.reset(token)
    if len(watcher.seen) != len(model.blocks()):
        raise NoSuchTap(f"{model.row.name}: this attention shows no probabilities")
