"""Reads the last query's attention probabilities without computing the full attention matrix.

For families that use transformers' attention interface, `REGISTERED` runs its SDPA kernel unchanged and recomputes the
one query row that claims read (the last token of each prompt). The other families run eager attention, and their
attention module returns its probabilities. Rows become entropies for all blocks at once when the pass ends: a block
costs one gather, or nothing if whole matrices are small enough to be kept until then.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

REGISTERED = "refutable_sdpa"


@dataclass(slots=True)
class LastQuery:
    """Collects what each block shows of each prompt's last query, in the order the blocks run.

    Attributes:
        last: index of the last real token of each prompt, shape (B,).
        keep: whether to keep eager attention's whole matrices until the pass ends, instead of one gather per block.
        window: the most keys that any block's query sees, if eager attention is windowed; else None.
        probabilities: per block, (B, heads, T), or the whole (B, heads, T, T) with `keep`.
        scores: per block, the last query's scores (B, heads, T) and the mask that applies to them.
    """

    last: torch.Tensor
    keep: bool = False
    window: int | None = None
    probabilities: list[torch.Tensor] = field(default_factory=list)
    scores: list[tuple[torch.Tensor, torch.Tensor | None]] = field(default_factory=list)
    _rows: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._rows = torch.arange(self.last.shape[0], device=self.last.device)

    def see_projections(
        self, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, scale: float | None
    ) -> None:
        """Compute the last query's scores from query and key projections.

        Args:
            query: (B, heads, T, d_head), positions applied.
            key: (B, key heads, T, d_head).
            mask: boolean or additive, (B or 1, 1, T, T), or None for plain causal attention.
            scale: factor on the scores; None means 1 / sqrt(d_head).
        """
        batch, heads, _, width = query.shape
        groups = key.shape[1]
        q = query[self._rows.to(query.device), :, self.last.to(query.device)].float()  # (B, heads, d_head)
        q = (q * (scale if scale is not None else width**-0.5)).view(batch, groups, heads // groups, width)
        self.scores.append(((q @ key.float().mT).flatten(1, 2), mask))  # (B, heads, T)

    def see_probabilities(self, weights: torch.Tensor) -> None:
        """Take the last query's row of eager attention's probabilities, (B, heads, T, T)."""
        self.probabilities.append(weights if self.keep else self._last_row(weights[None])[0])

    def entropies(self, blocks: int) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
        """Return each block's attention entropy, in nats, mean over heads, and its number of visible keys: (blocks, B).

        (None, None) unless every block showed its attention.
        """
        if len(self.probabilities) == blocks:
            home = self.last.device
            values = torch.stack([one.to(home) for one in self.probabilities])
            values = (self._last_row(values) if self.keep else values).float()  # (blocks, B, heads, T)
            p, keys = values / values.sum(dim=-1, keepdim=True), self._eager_keys(values)
        elif len(self.scores) == blocks:
            p, keys = self._from_scores()
        else:
            return None, None
        return -torch.xlogy(p, p).sum(dim=-1).mean(dim=-1), keys.float()

    def _last_row(self, weights: torch.Tensor) -> torch.Tensor:
        """Return (blocks, B, heads, T) of (blocks, B, heads, T, T)."""
        rows, last = self._rows.to(weights.device), self.last.to(weights.device)
        return weights[:, rows, :, last].transpose(0, 1)

    def _eager_keys(self, values: torch.Tensor) -> torch.Tensor:
        """Return the number of visible keys, (blocks, B): right-padded and causal, so all up to the query itself.

        Only with a window shorter than the prompts are probabilities counted, since one may have underflowed.
        """
        if self.window is None or values.shape[-1] <= self.window:
            return (self.last.to(values.device) + 1).expand(len(values), -1)
        return (values > 0).any(dim=2).sum(dim=-1)

    def _from_scores(self) -> tuple[torch.Tensor, torch.Tensor]:
        home, masks = self.last.device, {}
        for values, mask in self.scores:
            if id(mask) not in masks:  # blocks that share a mask share the answer
                masks[id(mask)] = _visible(mask, self.last, values.shape[-1])
        visible = torch.stack([masks[id(mask)] for _, mask in self.scores])  # (blocks, B, T)
        scores = torch.stack([values.to(home) for values, _ in self.scores])  # (blocks, B, heads, T)
        log_p = torch.log_softmax(scores.masked_fill(~visible[:, :, None], -torch.inf), dim=-1)
        return log_p.exp(), visible.sum(dim=-1)


def _visible(mask: torch.Tensor | None, last: torch.Tensor, length: int) -> torch.Tensor:
    """Return which keys each prompt's last query sees, (B, T)."""
    visible = torch.arange(length, device=last.device)[None, :] <= last[:, None]  # (B, T)
    if mask is None:
        return visible
    mask = mask.to(last.device)
    index = torch.arange(len(last), device=last.device) if len(mask) == len(last) else torch.zeros_like(last)
    line = mask[index, 0, last, :length]  # (B, T)
    return visible & (line if line.dtype == torch.bool else line > torch.finfo(line.dtype).min / 2)


def visible_keys(mask: torch.Tensor | None, prompt: int, length: int, device: torch.device) -> torch.Tensor:
    """Return which keys each query of one prompt of a batch sees, (length, length); `mask` as for `LastQuery`."""
    causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    if mask is None:
        return causal
    own = mask[prompt if len(mask) > 1 else 0, 0, :length, :length].to(device)
    return causal & (own if own.dtype == torch.bool else own > torch.finfo(own.dtype).min / 2)


class Watcher(Protocol):
    """What reads attention inside a pass: `LastQuery`, or `each_head.EachHead`."""

    def see_projections(
        self, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, scale: float | None
    ) -> None:
        """Read query and key projections of one block."""
        ...

    def see_probabilities(self, weights: torch.Tensor) -> None:
        """Read eager attention's probabilities of one block."""
        ...


ACTIVE: ContextVar[Watcher | None] = ContextVar("last_query", default=None)


def _recording_sdpa(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    watcher = ACTIVE.get()
    if watcher is not None:
        watcher.see_projections(query, key, attention_mask, options.get("scaling"))
    result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    return result


def register() -> None:
    """Register `REGISTERED` with transformers; calling it twice is harmless."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(REGISTERED, _recording_sdpa)
    AttentionMaskInterface.register(REGISTERED, sdpa_mask)
