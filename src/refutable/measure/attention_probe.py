"""Sees attention probabilities without computing a full attention matrix.

For families that go through transformers' attention interface, `REGISTERED` runs its SDPA kernel unchanged and
recomputes, beside it, the one query row that claims read (the last token of each prompt). The other families run eager
attention, whose probabilities their attention module returns.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch

REGISTERED = "refutable_sdpa"


@dataclass(slots=True)
class LastQuery:
    """Collects the entropy of each prompt's last query, block by block.

    Attributes:
        last: index of the last real token of each prompt, shape (B,).
        entropy: of the block that ran last, shape (B,), nats, mean over heads; taken by `take`.
        keys: number of keys that query sees, shape (B,).
    """

    last: torch.Tensor
    entropy: torch.Tensor | None = None
    keys: torch.Tensor | None = None
    _rows: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._rows = torch.arange(self.last.shape[0], device=self.last.device)

    def see_scores(
        self, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, scaling: float | None
    ) -> None:
        """Compute the last query's probabilities from query and key projections.

        Args:
            query: (B, heads, T, d_head), positions applied.
            key: (B, key heads, T, d_head).
            mask: boolean or additive, (B or 1, 1, T, T), or None for plain causal attention.
            scaling: factor of the scores; 1 / sqrt(d_head) when None.
        """
        batch, heads, _, width = query.shape
        rows = self._rows.to(query.device)
        last = self.last.to(query.device)
        q = query[rows, :, last].float()  # (B, heads, d_head)
        k = key.float()
        if k.shape[1] != heads:
            k = k.repeat_interleave(heads // k.shape[1], dim=1)
        scores = torch.einsum("bhd,bhtd->bht", q, k) * (
            scaling if scaling is not None else width**-0.5
        )  # (B, heads, T)
        positions = torch.arange(key.shape[2], device=query.device)
        visible = positions[None, :] <= last[:, None]  # (B, T)
        if mask is not None:
            row = mask[rows if mask.shape[0] == batch else torch.zeros_like(rows), 0, last, : key.shape[2]]  # (B, T)
            visible = visible & (row if row.dtype == torch.bool else row > torch.finfo(row.dtype).min / 2)
        log_p = torch.log_softmax(scores.masked_fill(~visible[:, None], -torch.inf), dim=-1)
        self._keep(log_p.exp(), visible.sum(dim=-1))

    def see_probabilities(self, weights: torch.Tensor) -> None:
        """Take the last query's row of eager attention's probabilities, (B, heads, T, T)."""
        last = self.last.to(weights.device)
        row = weights[self._rows.to(weights.device), :, last].float()  # (B, heads, T)
        self._keep(row / row.sum(dim=-1, keepdim=True), (row > 0).any(dim=1).sum(dim=-1))

    def take(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Return what the last block showed and forget it."""
        seen = self.entropy, self.keys
        self.entropy = self.keys = None
        return seen

    def _keep(self, p: torch.Tensor, keys: torch.Tensor) -> None:
        self.entropy = -torch.xlogy(p, p).sum(dim=-1).mean(dim=-1)  # (B,)
        self.keys = keys.float()


ACTIVE: ContextVar[LastQuery | None] = ContextVar("last_query", default=None)


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
        watcher.see_scores(query, key, attention_mask, options.get("scaling"))
    result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    return result


def register() -> None:
    """Make `REGISTERED` known to transformers; doing it twice changes nothing."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(REGISTERED, _recording_sdpa)
    AttentionMaskInterface.register(REGISTERED, sdpa_mask)
