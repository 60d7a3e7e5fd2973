"""The coordinates pass: the largest coordinate of each prompt's states, and the few that make its tokens alike.

After each block, a prompt's states form a matrix (tokens, width). Its largest absolute entry, its median one and the
column of the largest are kept; and the mean cosine of all pairs of tokens, whole and less the columns that contribute
most to it. Raw and with each state's mean over the width subtracted; of all tokens, and of all but the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.reduce import centred
from refutable.measurement.instrument.taps import first_tensor, hooked
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.batches import check_tokens
from refutable.measurement.passes.last_token import last_token_trace
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import (
    LARGEST,
    MEDIAN,
    TOKEN_COSINE,
    TOKEN_COSINE_LESS,
    WHERE_LARGEST,
    First,
    Pass,
    beside,
    paired,
)
from refutable.traces.trace import Trace

STEMS = (LARGEST, MEDIAN, WHERE_LARGEST, TOKEN_COSINE, *TOKEN_COSINE_LESS.values())
FORMS: tuple[First | None, ...] = (None, "without")  # with the first token, and without it
COLUMNS = [beside(name, first) for first in FORMS for at in (0, 1) for name in (paired(stem)[at] for stem in STEMS)]
LEAST = 3  # without the first, two tokens have one cosine


def run_coordinates(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Read the coordinates of each prompt's states after every block.

    Raises:
        NotMeasured: a prompt has fewer than three tokens.
    """
    return last_token_trace(model, prompts, key, about, COLUMNS, partial(_run_batch, model), bos=spec.bos)


@torch.inference_mode()
def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, COLUMNS)."""
    lengths = [len(ids[i]) for i in cut]
    check_tokens(model, lengths, LEAST, "cosines without the first need")
    tokens, mask = pad([ids[i] for i in cut], model.device)[:2]
    seen: list[torch.Tensor] = []

    def see(block: torch.nn.Module, args: Any, output: Any) -> None:
        states = first_tensor(output)
        rows = [torch.cat([_of_prompt(row[:n]), _of_prompt(row[1:n])]) for row, n in zip(states, lengths, strict=True)]
        seen.append(torch.stack(rows).to(model.device))

    with hooked([block.register_forward_hook(see) for block in model.blocks()]):
        model.backbone(tokens, mask)
    return torch.stack(seen, dim=1)


def _of_prompt(states: torch.Tensor) -> torch.Tensor:
    """Return every stem, raw and then centred, of states (tokens, D): (2 STEMS,)."""
    return torch.cat(
        [torch.stack([*sizes(form), *cosines(form)]) for form in (states.float(), centred(states.float()))]
    )


def sizes(states: torch.Tensor) -> list[torch.Tensor]:
    """Return the largest absolute entry of states (tokens, D), the median one, and the column of the largest."""
    entries = states.abs().flatten()
    ordered, at = entries.sort().values, int(entries.argmax())
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return [entries[at], middle, torch.tensor(float(at % states.shape[-1]), device=states.device)]


def cosines(states: torch.Tensor) -> list[torch.Tensor]:
    """Return the mean cosine of all pairs of states (tokens, D), and that less the columns that contribute most."""
    share = _contributions(states)  # (D,): they sum to the mean cosine
    found, order = [share.sum()], share.argsort(descending=True, stable=True)
    for k in TOKEN_COSINE_LESS:
        rest = states.clone()
        rest[:, order[:k]] = 0
        found.append(_contributions(rest).sum())
    return [one.float() for one in found]


def _contributions(states: torch.Tensor) -> torch.Tensor:
    """Return each column's part of the mean cosine of all pairs of states, in float64, (D,)."""
    own = states.double()
    unit = own / own.norm(dim=-1, keepdim=True)  # (tokens, D)
    pairs = len(unit) * (len(unit) - 1)
    share: torch.Tensor = (unit.sum(dim=0) ** 2 - (unit**2).sum(dim=0)) / pairs
    return share
