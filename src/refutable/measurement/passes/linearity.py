"""The linearity pass: how near each block is to one linear map of its input, on prompts that the map was not fitted on.

With X and Y the states before and after a block, (tokens, width), the map A minimises |Y - X A| over one half of the
prompts; 1 - |Y - X A|^2 / |Y|^2 is then taken of each prompt of the other half, and the other way round. Both are less
their means over the tokens: those of the half where A is fitted, those of the prompt where it is tried. Halves are of
whole categories where prompts have some, so that no map has seen the kind of text that it is tried on.

Of a half only X'X and X'Y are kept, in float64, for as many blocks at a time as `blocks_at_once` allows: the prompts
are run twice for each such row of blocks, once to fit and once to try. The first token of each prompt is added after,
so that one run gives the map with it and without; taking a state's mean over the width off rewrites the same matrices.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from refutable.errors import NotMeasured
from refutable.measurement.forecast import blocks_at_once
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.reduce import centred
from refutable.measurement.instrument.taps import first_tensor, hidden_states, hooked
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.batches import check_tokens, run_in_batches, token_ids
from refutable.measurement.passes.forward import pass_meta
from refutable.measurement.passes.last_token import laid_out
from refutable.prompts.prompt_set import PromptSet, are_categorised
from refutable.traces.passes import LINEARITY, UPDATE_LINEARITY, First, Pass, beside, paired
from refutable.traces.trace import Trace

STEMS = (LINEARITY, UPDATE_LINEARITY)
FORMS: tuple[First | None, ...] = (None, "without")  # with the first token, and without it
COLUMNS = [beside(paired(stem)[at], first) for first in FORMS for at in (0, 1) for stem in STEMS]
NOISE = 1e-6  # of the largest singular value of X: below it a direction is what float32 rounds away, and is not used
LEAST = 3  # without the first, two tokens: one has nothing that tells it apart
Visit = Callable[[int, int, torch.Tensor, torch.Tensor], None]  # prompt, block, states before and after, (tokens, D)


def run_linearity(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take each prompt's share of the states after each block, and of the updates, that a linear map explains.

    Raises:
        NotMeasured: a prompt has fewer than three tokens; or one half has no more tokens after the prompts' first than
            states have coordinates, so that a map through all of them explains nothing.
    """
    ids, started = token_ids(model, prompts, spec.bos), time.perf_counter()
    lengths, half = [len(one) for one in ids], halves_of([prompt.category for prompt in prompts.prompts])
    check_tokens(model, lengths, LEAST, "linearity without the first needs")
    _check_rows(model, lengths, half)
    layers = len(model.blocks())
    values = np.full((len(ids), layers, len(COLUMNS)), np.nan, dtype=np.float32)
    batches = halvings = 0
    for part in _rows(layers, blocks_at_once(model.width)):
        sums = Sums(half)
        halvings += _run(model, ids, part, sums.add, sums.clear)[1]
        maps = {(block, which): sums.maps(block, which) for block in part for which in (0, 1)}
        del sums

        def score(prompt: int, block: int, x: torch.Tensor, y: torch.Tensor, maps: Maps = maps) -> None:
            values[prompt, block] = scores(x, y, maps[block, 1 - half[prompt]])

        done, halved = _run(model, ids, part, score, lambda: None)
        batches, halvings = batches + done, halvings + halved
    return laid_out(key, pass_meta(model, about, ids, started, batches, halvings, {}), prompts, ids, COLUMNS, values)


Maps = Mapping[tuple[int, int], Sequence[torch.Tensor]]


def halves_of(categories: Sequence[str]) -> list[int]:
    """Return which half each prompt is in, 0 or 1: every other category, or every other prompt where there are none."""
    if not are_categorised(categories):
        return [number % 2 for number in range(len(categories))]
    order = {name: number for number, name in enumerate(dict.fromkeys(categories))}
    return [order[name] % 2 for name in categories]


def _check_rows(model: LoadedModel, lengths: Sequence[int], half: Sequence[int]) -> None:
    rows = [sum(n - 1 for n, own in zip(lengths, half, strict=True) if own == which) for which in (0, 1)]
    if min(rows) <= model.width:
        raise NotMeasured(
            f"{model.row.name}: one half of the prompts has {min(rows)} tokens after the first ones and its states have"
            f" {model.width} coordinates, so that a linear map through every token is always found and says nothing",
            "longer or more prompts (--prompts passages-512)",
        )


def _rows(layers: int, most: int) -> Iterator[range]:
    for start in range(0, layers, most):
        yield range(start, min(start + most, layers))


@torch.inference_mode()
def _run(
    model: LoadedModel, ids: list[list[int]], part: Sequence[int], visit: Visit, forget: Callable[[], None]
) -> tuple[int, int]:
    """Visit every prompt's states before and after some blocks; return the number of batches and of their halvings.

    `forget` undoes all visits: batches that run out of memory are halved and all are run again.
    """

    def run(cut: Sequence[int]) -> None:
        tokens, mask = pad([ids[i] for i in cut], model.device)[:2]

        def see(number: int, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            before, after = hidden_states(args, kwargs), first_tensor(output)
            for row, prompt in enumerate(cut):
                real = slice(len(ids[prompt]))
                visit(prompt, number, before[row, real].to(after.device).double(), after[row, real].double())

        def hook(number: int) -> Any:
            block = model.blocks()[number]
            return block.register_forward_hook(lambda m, a, k, out: see(number, a, k, out), with_kwargs=True)

        try:
            with hooked([hook(number) for number in part]):
                model.backbone(tokens, mask)
        except torch.OutOfMemoryError:
            forget()
            raise

    results, halvings = run_in_batches(model, ids, run)
    return len(results), halvings


class Moments(NamedTuple):
    """Sums over tokens: their number, of x and y, (D,), and of the products x x' and x y', (D, D)."""

    n: int
    x: torch.Tensor
    y: torch.Tensor
    xx: torch.Tensor
    xy: torch.Tensor

    def plus(self, other: Moments) -> Moments:
        """Return the sums over the tokens of both."""
        return Moments(*(own + more for own, more in zip(self, other, strict=True)))


def moments(x: torch.Tensor, y: torch.Tensor) -> Moments:
    """Return the sums over tokens of states before and after a block, (tokens, D) each."""
    return Moments(len(x), x.sum(dim=0), y.sum(dim=0), x.T @ x, x.T @ y)


@dataclass(slots=True)
class Sums:
    """Moments of each half of the prompts at each block, without first tokens, and the first tokens' states."""

    half: Sequence[int]
    _rest: dict[tuple[int, int], Moments] = field(default_factory=dict)
    _firsts: dict[tuple[int, int], list[tuple[torch.Tensor, torch.Tensor]]] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget all tokens."""
        self._rest.clear()
        self._firsts.clear()

    def add(self, prompt: int, block: int, x: torch.Tensor, y: torch.Tensor) -> None:
        """Count a prompt's tokens."""
        place = block, self.half[prompt]
        own = moments(x[1:], y[1:])
        self._rest[place] = own if place not in self._rest else self._rest[place].plus(own)
        self._firsts.setdefault(place, []).append((x[0].clone(), y[0].clone()))

    def maps(self, block: int, half: int) -> list[torch.Tensor]:
        """Return the maps of a half, by `FORMS`, raw and centred: four of (D, D). Their sums are let go."""
        rest = self._rest.pop((block, half))
        x, y = (torch.stack(own) for own in zip(*self._firsts.pop((block, half)), strict=True))
        return [linear_map(own, of_centred=form) for own in (rest.plus(moments(x, y)), rest) for form in (False, True)]


def linear_map(own: Moments, *, of_centred: bool) -> torch.Tensor:
    """Return the A that minimises |Y - X A| over tokens less their means, (D, D), of the least norm.

    Directions in which the states before the block differ by rounding alone are not used.

    `of_centred`: of states less their means over the width.
    """
    xx, xy = (product - own.x[:, None] * mean / own.n for product, mean in ((own.xx, own.x), (own.xy, own.y)))
    if of_centred:
        xx, xy = (centred(centred(product).T).T for product in (xx, xy))
    if not bool(torch.isfinite(xx).all() & torch.isfinite(xy).all()):
        return torch.full_like(xx, torch.nan)
    sizes, directions = torch.linalg.eigh(xx)
    kept = sizes > NOISE**2 * sizes[-1]
    inverse = torch.where(kept, 1 / torch.where(kept, sizes, 1.0), 0.0)
    found: torch.Tensor = directions @ (inverse[:, None] * (directions.T @ xy))
    return found


def scores(x: torch.Tensor, y: torch.Tensor, maps: Sequence[torch.Tensor]) -> NDArray[np.float32]:
    """Return the columns of a prompt's states before and after a block, (tokens, D), by the other half's maps."""
    found = []
    pairs = [(form(x[start:]), form(y[start:])) for start in (0, 1) for form in (lambda own: own, centred)]
    for (before, after), own in zip(pairs, maps, strict=True):
        before, after = before - before.mean(dim=0), after - after.mean(dim=0)
        missed = ((after - before @ own) ** 2).sum()
        found += [1 - missed / (after**2).sum(), 1 - missed / ((after - before) ** 2).sum()]
    return torch.stack(found).float().cpu().numpy()
