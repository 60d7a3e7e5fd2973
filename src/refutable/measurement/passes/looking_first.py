"""What must be seen of the model as it is, over all prompts, before it is changed.

* For ``mean-coordinate``: the coordinate's mean at each position of a block's output, over the prompts that reach it.
* For ``zero-weight``: the MLP's largest output, over all prompts and tokens, says which row of its output matrix, and
  the largest of what that matrix reads at this token, which column. So a super weight is found: by the spikes of the
  down-projection's output and input in one forward pass (Yu et al., arXiv 2411.07191, as reproductions describe it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.interventions import Seen, chosen_blocks
from refutable.measurement.instrument.parts import mlp_output, oriented
from refutable.measurement.instrument.taps import first_tensor, hooked
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.batches import run_in_batches, token_ids
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import Pass

Watch = Callable[[torch.nn.Module, Sequence[int], list[torch.Tensor]], Any]


def look_first(model: LoadedModel, prompts: PromptSet, spec: Pass) -> Seen | None:
    """Return what a pass's intervention needs to know, by a changed block's number; None where it needs nothing.

    Raises:
        NoSuchTap: there is no such block; or a block's MLP has no one output matrix whose numbers are read.
    """
    if spec.intervention not in ("mean-coordinate", "zero-weight"):
        return None
    chosen = {*map(id, chosen_blocks(model, spec.blocks))}
    numbers = [number for number, block in enumerate(model.blocks()) if id(block) in chosen]
    ids = token_ids(model, prompts, spec.bos)
    if spec.intervention == "zero-weight":
        found = _run(model, ids, numbers, partial(_watch_spike, model))  # (batches, blocks, 3)
        largest = found[..., 0].argmax(dim=0)  # (blocks,): the batch
        return {number: found[largest[i], i, 1:].long() for i, number in enumerate(numbers)}
    longest = max(map(len, ids))
    sums = _run(model, ids, numbers, partial(_watch_coordinate, spec.coordinate or 0, longest)).sum(dim=0)
    reach = torch.tensor([sum(len(one) > at for one in ids) for at in range(longest)])
    return {number: sums[i] / reach for i, number in enumerate(numbers)}


@torch.inference_mode()
def _run(model: LoadedModel, ids: list[list[int]], numbers: Sequence[int], watch: Watch) -> torch.Tensor:
    """Return what is seen of each batch and each of some blocks, (batches, blocks, ...), on the host."""

    def run(cut: Sequence[int]) -> torch.Tensor:
        own, seen = [ids[i] for i in cut], list[torch.Tensor]()
        tokens, mask = pad(own, model.device)[:2]
        blocks = model.blocks()
        with hooked([watch(blocks[number], [len(one) for one in own], seen) for number in numbers]):
            model.backbone(tokens, mask)
        return torch.stack(seen)

    return torch.stack(run_in_batches(model, ids, run)[0])


def _watch_coordinate(
    coordinate: int, longest: int, block: torch.nn.Module, lengths: Sequence[int], into: list[torch.Tensor]
) -> Any:
    """Hook a block: the sum of a coordinate of its output at each position over prompts, in float64, (longest,)."""

    def see(module: torch.nn.Module, args: Any, output: Any) -> None:
        own = first_tensor(output)[..., coordinate].double().cpu()  # (B, T)
        real = torch.arange(own.shape[1]) < torch.tensor(lengths)[:, None]
        sums = torch.where(real, own, 0.0).sum(dim=0)
        into.append(torch.nn.functional.pad(sums, (0, longest - len(sums))))

    return block.register_forward_hook(see)


def _watch_spike(model: LoadedModel, block: torch.nn.Module, lengths: Sequence[int], into: list[torch.Tensor]) -> Any:
    """Hook an MLP's output matrix: its largest output in size, that one's row, and the column it reads most, (3,)."""
    matrix = mlp_output(block, model.family)
    oriented(matrix)  # numbers that cannot be read cannot be set

    def see(module: torch.nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
        shape = (len(lengths), -1)
        made = output.float().abs().reshape(*shape, output.shape[-1])  # (B, T, D)
        read = args[0].float().abs().reshape(*shape, args[0].shape[-1])  # (B, T, inner)
        real = torch.arange(made.shape[1]) < torch.tensor(lengths)[:, None]
        at_token = torch.where(real.to(made.device), made.amax(dim=-1), -1.0)  # (B, T)
        prompt, token = divmod(int(at_token.argmax()), made.shape[1])
        row, column = int(made[prompt, token].argmax()), int(read[prompt, token].argmax())
        into.append(torch.tensor([float(at_token[prompt, token]), float(row), float(column)], dtype=torch.float64))

    return matrix.register_forward_hook(see)
