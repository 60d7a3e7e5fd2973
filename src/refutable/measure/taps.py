"""Hooks that read one block's taps and reduce them, on the device, in float32, as the pass goes by.

Every tap is reduced before the pass moves on (Falcon adds to its MLP's output in place; a kept reference would read the
sum), and the six vectors of a block become 26 numbers a position: nothing of the size of an activation survives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from refutable.errors import InstrumentError
from refutable.families import Family
from refutable.measure.attention_probe import ACTIVE, LastQuery
from refutable.trace import INPUT_TAPS, PRODUCTS, STREAM_TAPS, UPDATE_TAPS, Tap

TAPS: tuple[Tap, ...] = (*STREAM_TAPS, *INPUT_TAPS)
REDUCED = 2 * len(TAPS) + len(STREAM_TAPS) + len(PRODUCTS) + 1


class BlockReader:
    """Hooks on one block; after each pass `reduced` holds its primitives.

    Attributes:
        reduced: shape (B, T, REDUCED), float32, in the order of `trace.PRIMITIVE_COLUMNS` up to closure.
        entropy: shape (B,), attention entropy of the last query; None where it was not seen.
        keys: shape (B,), keys that query saw.
    """

    def __init__(
        self, block: torch.nn.Module, family: Family, *, additive: bool, scale: float, title: str = "a block"
    ) -> None:
        self._title = title
        self._block = block
        self._family = family
        self._additive = additive
        self._scale = scale
        self._seen: dict[Tap, torch.Tensor] = {}
        self.reduced: torch.Tensor | None = None
        self.entropy: torch.Tensor | None = None
        self.keys: torch.Tensor | None = None

    def attach(self) -> list[Any]:
        """Put the hooks on; returns handles to take them off. No hook returns anything, so none changes the pass."""
        self._seen = {}
        at = self._block.get_submodule
        family = self._family
        handles = [
            self._block.register_forward_pre_hook(self._keep_input("block_input"), with_kwargs=True),
            at(family.attention).register_forward_pre_hook(self._keep_input("attention_input"), with_kwargs=True),
            at(family.mlp).register_forward_pre_hook(self._keep_input("mlp_input"), with_kwargs=True),
            at(family.attention).register_forward_hook(self._see_attention),
        ]
        if self._additive:
            handles += [
                at(family.attention_update).register_forward_hook(self._keep_output("attention_update")),
                at(family.mlp_update).register_forward_hook(self._keep_output("mlp_update")),
            ]
        return [*handles, self._block.register_forward_hook(self._finish)]

    def _keep_input(self, tap: Tap) -> Any:
        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._seen[tap] = args[0] if args else kwargs["hidden_states"]

        return hook

    def _keep_output(self, tap: Tap) -> Any:
        def hook(module: torch.nn.Module, args: Any, output: Any) -> None:
            tensor = first_tensor(output)
            self._seen[tap] = tensor.to(torch.float32, copy=True)

        return hook

    def _see_attention(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        watcher = ACTIVE.get()
        weights = output[1] if isinstance(output, tuple | list) and len(output) > 1 else None
        if watcher is not None and self._family.attention_implementation == "eager" and torch.is_tensor(weights):
            watcher.see_probabilities(weights)

    def _finish(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        self._seen["block_output"] = first_tensor(output)
        watcher = ACTIVE.get()
        self.entropy, self.keys = watcher.take() if watcher is not None else (None, None)
        self._check_seen()
        self.reduced = reduce_block(self._seen, self._scale)
        self._seen = {}

    def _check_seen(self) -> None:
        """Refuse a tap that no module showed, or that is no vector of the stream: nothing could be checked of it."""
        x = self._seen["block_input"]
        for tap in TAPS if self._additive else (tap for tap in TAPS if tap not in UPDATE_TAPS):
            seen = self._seen.get(tap)
            if seen is None or seen.shape[-1] != x.shape[-1] or seen.numel() != x.numel():
                found = (
                    "was not seen" if seen is None else f"has shape {tuple(seen.shape)}, the stream {tuple(x.shape)}"
                )
                raise InstrumentError(
                    f"{self._title}: {tap} {found}; the taps of family {self._family.model_type!r} are wrong"
                    " (families.py)"
                )


def reduce_block(seen: dict[Tap, torch.Tensor], scale: float = 1.0) -> torch.Tensor:
    """Reduce a block's tapped vectors to its primitives.

    Args:
        seen: the vector of each tap, shape (B, T, D) or, for a flattened module, (B * T, D); update taps may be absent.
        scale: factor that the block puts on both updates.

    Returns:
        Shape (B, T, REDUCED): norms, centred norms (of `TAPS`), means (of `STREAM_TAPS`), `PRODUCTS`, closure residual.
        What an absent tap would have given is NaN.
    """
    x = seen["block_input"]
    batch, length, width = x.shape
    present = [tap for tap in TAPS if tap in seen]
    stack = torch.stack([seen[tap].reshape(batch, length, width).float() for tap in present], dim=2)  # (B, T, taps, D)
    if scale != 1.0:
        updates = [i for i, tap in enumerate(present) if tap in UPDATE_TAPS]
        stack[:, :, updates] *= scale
    mean = stack.mean(dim=-1)  # (B, T, taps)
    index = {tap: i for i, tap in enumerate(present)}
    norms = torch.linalg.vector_norm(stack, dim=-1)  # (B, T, taps)
    centred = torch.linalg.vector_norm(stack - mean[..., None], dim=-1)  # (B, T, taps)
    gram = stack @ stack.mT  # (B, T, taps, taps)
    nothing = torch.full((batch, length), torch.nan, device=x.device)

    def of(values: torch.Tensor, taps: Sequence[Tap]) -> list[torch.Tensor]:
        return [values[..., index[tap]] if tap in index else nothing for tap in taps]

    products = [gram[..., index[a], index[b]] if a in index and b in index else nothing for a, b in PRODUCTS]
    closure = nothing
    if all(tap in index for tap in UPDATE_TAPS):
        x_in, x_out, a, m = (stack[:, :, index[tap]] for tap in STREAM_TAPS)
        closure = torch.linalg.vector_norm(x_out - x_in - a - m, dim=-1)
    return torch.stack([*of(norms, TAPS), *of(centred, TAPS), *of(mean, STREAM_TAPS), *products, closure], dim=-1)


def first_tensor(output: Any) -> torch.Tensor:
    """Return the tensor of a module's output, which is a tensor, a tuple or a list that begins with one."""
    tensor: torch.Tensor = output[0] if isinstance(output, tuple | list) else output
    return tensor


@contextmanager
def reading(readers: Sequence[BlockReader], watcher: LastQuery) -> Iterator[None]:
    """Attach the readers for the passes inside, and take them off whatever happens."""
    handles = [handle for reader in readers for handle in reader.attach()]
    token = ACTIVE.set(watcher)
    try:
        yield
    finally:
        ACTIVE.reset(token)
        for handle in handles:
            handle.remove()
