"""Sees attention probabilities without computing a full attention matrix.

For families that go through transformers' attention interface, `REGISTERED` runs its SDPA kernel unchanged and
recomputes, beside it, the one query row that claims read (the last token of each prompt). The other families run eager
attention, whose probabilities their attention module returns. Rows are kept as they are seen and turned into entropies
for all blocks at once when the pass is over: a block pays for one gather.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch

REGISTERED = "refutable_sdpa"


@dataclass(frozen=True, slots=True)
class AttentionRow:
    """The last query's row of one block.

    Attributes:
        values: probabilities, or scores before the softmax, shape (B, heads, T).
        scores: whether they are scores.
        mask: of scores: boolean or additive, (B or 1, 1, T, T); None for plain causal attention.
    """

    values: torch.Tensor
    scores: bool
    mask: torch.Tensor | None = None


@dataclass(slots=True)
class LastQuery:
    """Collects the last query's row, block by block.

    Attributes:
        last: index of the last real token of each prompt, shape (B,).
    """

    last: torch.Tensor
    _row: AttentionRow | None = None
    _rows: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._rows = torch.arange(self.last.shape[0], device=self.last.device)

    def see_scores(
        self, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, scale: float | None
    ) -> None:
        """Compute the last query's scores from query and key projections.

        Args:
            query: (B, heads, T, d_head), positions applied.
            key: (B, key heads, T, d_head).
            mask: as in `AttentionRow`.
            scale: factor of the scores; 1 / sqrt(d_head) when None.
        """
        batch, heads, _, width = query.shape
        groups = key.shape[1]
        q = query[self._rows.to(query.device), :, self.last.to(query.device)].float()  # (B, heads, d_head)
        q = (q * (scale if scale is not None else width**-0.5)).view(batch, groups, heads // groups, width)
        self._row = AttentionRow((q @ key.float().mT).flatten(1, 2), scores=True, mask=mask)  # (B, heads, T)

    def see_probabilities(self, weights: torch.Tensor) -> None:
        """Take the last query's row of eager attention's probabilities, (B, heads, T, T)."""
        row = weights[self._rows.to(weights.device), :, self.last.to(weights.device)]  # (B, heads, T)
        self._row = AttentionRow(row, scores=False)

    def take(self) -> AttentionRow | None:
        """Return what the last block showed and forget it."""
        row, self._row = self._row, None
        return row


def entropies(rows: Sequence[AttentionRow], last: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each block's attention entropy and the number of keys its query sees, both (blocks, B).

    Args:
        rows: the last query's row of each block.
        last: index of each prompt's last token, (B,).

    The entropy is in nats, the mean over heads.
    """
    home = rows[0].values.device
    values = torch.stack([row.values.to(home) for row in rows]).float()  # (blocks, B, heads, T)
    if rows[0].scores:
        seen: dict[int, torch.Tensor] = {}
        visible = torch.stack([_visible(row, last.to(home), seen) for row in rows])  # (blocks, B, T)
        log_p = torch.log_softmax(values.masked_fill(~visible[:, :, None], -torch.inf), dim=-1)
        p, keys = log_p.exp(), visible.sum(dim=-1)
    else:
        p, keys = values / values.sum(dim=-1, keepdim=True), (values > 0).any(dim=2).sum(dim=-1)
    return -torch.xlogy(p, p).sum(dim=-1).mean(dim=-1), keys.float()


def _visible(row: AttentionRow, last: torch.Tensor, seen: dict[int, torch.Tensor]) -> torch.Tensor:
    """Return which keys the last query sees, (B, T); blocks that share a mask share the answer."""
    name = id(row.mask)
    if name not in seen:
        length = row.values.shape[-1]
        visible = torch.arange(length, device=last.device)[None, :] <= last[:, None]  # (B, T)
        if row.mask is not None:
            mask = row.mask.to(last.device)
            index = torch.arange(len(last), device=last.device) if len(mask) == len(last) else torch.zeros_like(last)
            line = mask[index, 0, last, :length]  # (B, T)
            visible = visible & (line if line.dtype == torch.bool else line > torch.finfo(line.dtype).min / 2)
        seen[name] = visible
    return seen[name]


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
