"""Measures a twin while it trains: what each block does to the residual stream at the last token of each prompt.

One row for each prompt and block. The columns are primitives, from which every metric of the experiment is exact
(`METRICS`); they equal the engine's own trace of the same weights to float32 (tests/experiment/test_snapshot.py).

| column | |
|---|---|
| ``input``, ``output`` | length of the stream before and after the block |
| ``input_centred``, ``output_centred`` | the same less the mean over the width |
| ``attention``, ``mlp`` | length of the two updates |
| ``attention_mlp``, ``input_attention``, ``input_mlp`` | inner products |
| ``attention_input``, ``mlp_input`` | length of what attention and the MLP read, after the norm |
| ``heads``, ``heads_squared`` | length of the sum of what the heads add (no bias), and sum of their squared lengths |
| ``entropy`` | of attention from the last token, mean over heads, in nats |
| ``first`` | share of attention that goes to the first token, mean over heads |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from refutable.twins.design import Twin
from refutable.twins.networks import WRITERS, blocks_of, family

COLUMNS = (
    *("input", "output", "input_centred", "output_centred", "attention", "mlp"),
    *("attention_mlp", "input_attention", "input_mlp", "attention_input", "mlp_input"),
    *("heads", "heads_squared", "entropy", "first"),
)

Columns = dict[str, np.ndarray]


@torch.no_grad()
def measure(network: nn.Module, twin: Twin, prompts: Sequence[Sequence[int]]) -> np.ndarray:
    """Return what the blocks do at the last token of each prompt: (prompts, blocks, columns), float32.

    The network is run in float32 with attention written out, and left as it was. Prompts are padded on the right, which
    under causal attention changes nothing before.
    """
    device = next(network.parameters()).device
    length = max(map(len, prompts))
    ids = torch.tensor([[*one, *[0] * (length - len(one))] for one in prompts], device=device)  # (P, T)
    last = torch.tensor([len(one) - 1 for one in prompts], device=device)
    rows = torch.arange(len(prompts), device=device)
    seen: list[dict[str, torch.Tensor]] = [{} for _ in blocks_of(network, twin.cell)]
    with _eager(network), _hooks(network, twin, seen, lambda x: x[rows, last].float()):
        network(ids, use_cache=False)
    per_block = [_reduce(one, rows, last, twin.cell.heads) for one in seen]
    return torch.stack(per_block, dim=1).cpu().numpy()  # (P, L, C)


@torch.no_grad()
def held_out_loss(network: nn.Module, windows: torch.Tensor, batch: int = 64) -> float:
    """Return the mean loss in nats a token over windows (n, context + 1), in float32."""
    losses = [
        functional.cross_entropy(
            network(part[:, :-1], use_cache=False).logits.flatten(0, 1).float(), part[:, 1:].flatten()
        )
        * len(part)
        for part in torch.split(windows, batch)
    ]
    return float(torch.stack(losses).sum() / len(windows))


def _reduce(seen: dict[str, torch.Tensor], rows: torch.Tensor, last: torch.Tensor, heads: int) -> torch.Tensor:
    """Return a block's columns: (P, C)."""
    x, y, a, m = seen["input"], seen["output"], seen["attention"], seen["mlp"]  # (P, D) each
    mixed = seen["mixed"].view(len(x), heads, -1)  # (P, H, K)
    writer = seen["writer"].reshape(x.shape[-1], heads, -1)  # (D, H, K)
    of_heads = torch.einsum("phk,dhk->phd", mixed, writer)
    weights = seen["weights"][rows, :, last].float()  # (P, H, T)
    entropy = -torch.special.xlogy(weights, weights).sum(-1).mean(-1)
    values = {
        "input": x.norm(dim=-1),
        "output": y.norm(dim=-1),
        "input_centred": (x - x.mean(-1, keepdim=True)).norm(dim=-1),
        "output_centred": (y - y.mean(-1, keepdim=True)).norm(dim=-1),
        "attention": a.norm(dim=-1),
        "mlp": m.norm(dim=-1),
        "attention_mlp": (a * m).sum(-1),
        "input_attention": (x * a).sum(-1),
        "input_mlp": (x * m).sum(-1),
        "attention_input": seen["attention_input"].norm(dim=-1),
        "mlp_input": seen["mlp_input"].norm(dim=-1),
        "heads": of_heads.sum(1).norm(dim=-1),
        "heads_squared": of_heads.square().sum((1, 2)),
        "entropy": entropy,
        "first": weights[..., 0].mean(-1),
    }
    return torch.stack([values[name] for name in COLUMNS], dim=-1)


@contextmanager
def _eager(network: Any) -> Iterator[None]:
    """Let attention show its probabilities."""
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    try:
        yield
    finally:
        network.set_attn_implementation(before)


@contextmanager
def _hooks(
    network: nn.Module, twin: Twin, seen: list[dict[str, torch.Tensor]], at: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """Keep what each block's parts read and write, at the last tokens."""
    parts, (writer, _) = family(twin.cell), WRITERS[twin.cell.family]
    handles = []

    def keep(store: dict[str, torch.Tensor], output: str | None, read: str | None) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
            if output is not None:
                store[output] = at(result if torch.is_tensor(result) else result[0])
            if read is not None:
                store[read] = at(args[0] if args else kwargs["hidden_states"])
            if read == "attention_input":
                store["weights"] = result[1]
            if read == "mixed":  # GPT-2 keeps its matrices transposed
                matrix = module.get_parameter("weight")
                store["writer"] = (matrix if isinstance(module, nn.Linear) else matrix.T).float()

        return hook

    for block, store in zip(blocks_of(network, twin.cell), seen, strict=True):
        for path, output, read in (
            (parts.attention, None, "attention_input"),
            (parts.mlp, None, "mlp_input"),
            (parts.attention_update, "attention", None),
            (parts.mlp_update, "mlp", None),
            (writer, None, "mixed"),
        ):
            handles.append(block.get_submodule(path).register_forward_hook(keep(store, output, read), with_kwargs=True))
        handles.append(block.register_forward_hook(keep(store, "output", "input"), with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def last_gain(values: np.ndarray) -> np.ndarray:
    """Return log of the last block's gain, one value a prompt, from `measure`'s (prompts, blocks, columns)."""
    gains: np.ndarray = np.log(values[:, -1, COLUMNS.index("output")] / values[:, -1, COLUMNS.index("input")])
    return gains
