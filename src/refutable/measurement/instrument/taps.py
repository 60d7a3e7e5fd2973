"""Hooks that read a block's taps and reduce them on the device during the pass.

A block's vectors are reduced when the block ends, to 25 numbers per position and one attention row per prompt, so no
activation outlives its block. If all of them together take little memory, they are kept until the pass ends and reduced
in one launch, because launches dominate a small pass. Where a family adds to an update in place, the tensor is copied
at once: a reference would read the sum, and the closure check would fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from refutable.errors import InstrumentError
from refutable.measurement.instrument.attention_probe import ACTIVE, LastQuery
from refutable.measurement.instrument.reduce import TAPS, Vectors, reduce_blocks
from refutable.models.families import Family
from refutable.traces.trace import UPDATE_TAPS, Tap

Hook = Callable[[torch.nn.Module, tuple[Any, ...], dict[str, Any], Any], None]


@dataclass(slots=True, eq=False)
class BlockReader:
    """Hooks on one block; after each pass `reduced`, or `kept`, holds what they saw.

    Attributes:
        additive: whether the block adds updates to the stream.
        scale: factor it applies to both updates.
        title: its name in messages.
        keep: whether to keep the vectors until `primitives` reduces those of all blocks.
        reduced: shape (B, T, REDUCED), float32, in the order of `trace.PRIMITIVE_COLUMNS` up to closure.
        kept: the vectors by tap, if they are kept.
    """

    block: torch.nn.Module
    family: Family
    additive: bool
    scale: float
    title: str = "a block"
    keep: bool = False
    reduced: torch.Tensor | None = None
    kept: Vectors | None = None
    _seen: dict[Tap, torch.Tensor] = field(default_factory=dict)

    def attach(self) -> list[Any]:
        """Register the hooks and return their handles. No hook returns anything, so none changes the pass."""
        self._seen = {}
        family = self.family
        hooks = {family.attention: [self._keep_input("attention_input")]}
        hooks.setdefault(family.mlp, []).append(self._keep_input("mlp_input"))
        if family.attention_implementation == "eager":
            hooks[family.attention].append(self._see_attention)
        if self.additive:
            hooks.setdefault(family.attention_update, []).append(self._keep_output("attention_update"))
            hooks.setdefault(family.mlp_update, []).append(self._keep_output("mlp_update"))
        handles = [
            self.block.get_submodule(path).register_forward_hook(_all(some), with_kwargs=True)
            for path, some in hooks.items()
        ]
        return [*handles, self.block.register_forward_hook(self._finish, with_kwargs=True)]

    def _keep_input(self, tap: Tap) -> Hook:
        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            self._seen[tap] = hidden_states(args, kwargs)

        return hook

    def _keep_output(self, tap: Tap) -> Hook:
        copy = self.family.in_place and tap == "mlp_update"

        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            tensor = first_tensor(output)
            self._seen[tap] = tensor.clone() if copy else tensor

        return hook

    def _see_attention(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        watcher = ACTIVE.get()
        weights = output[1] if isinstance(output, tuple | list) and len(output) > 1 else None
        if watcher is not None and torch.is_tensor(weights):
            watcher.see_probabilities(weights)

    def _finish(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        self._seen["block_output"] = y = first_tensor(output)
        self._seen["block_input"] = hidden_states(args, kwargs).to(y.device)  # it may come from a block on another GPU
        self._check_seen()
        if self.keep:
            self.kept = self._seen
        else:
            self.reduced = reduce_blocks([self._seen], self.scale)[0]
        self._seen = {}

    def _check_seen(self) -> None:
        """Refuse a tap that no module showed, or whose tensor is no vector of the stream."""
        x = self._seen["block_input"]
        for tap in TAPS if self.additive else (tap for tap in TAPS if tap not in UPDATE_TAPS):
            seen = self._seen.get(tap)
            if seen is None:
                found = "was not seen"
            elif seen.shape[-1] != x.shape[-1] or seen.numel() != x.numel():
                found = f"has shape {tuple(seen.shape)}, the stream {tuple(x.shape)}"
            else:
                continue
            raise InstrumentError(
                f"{self.title}: {tap} {found}; the taps of family {self.family.model_type!r} are wrong (families.py)"
            )


def primitives(readers: Sequence[BlockReader], scale: float) -> torch.Tensor:
    """Return what the readers saw in a pass, (blocks, B, T, REDUCED), and release it."""
    kept = [reader.kept for reader in readers if reader.kept is not None]
    reduced = [reader.reduced for reader in readers if reader.reduced is not None]
    result = reduce_blocks(kept, scale) if kept else torch.stack([one.to(reduced[0].device) for one in reduced])
    for reader in readers:
        reader.kept = reader.reduced = None
    return result


def first_tensor(output: Any) -> torch.Tensor:
    """Return the tensor of a module's output, which is a tensor, or a tuple or list that begins with one."""
    tensor: torch.Tensor = output[0] if isinstance(output, tuple | list) else output
    return tensor


def with_first_tensor(output: Any, tensor: torch.Tensor) -> Any:
    """Return a module's output with its tensor replaced."""
    return tensor if torch.is_tensor(output) else type(output)([tensor, *output[1:]])


def hidden_states(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """Return the tensor a module was called with: its first argument, which most families pass by position."""
    tensor: torch.Tensor = args[0] if args else kwargs["hidden_states"]
    return tensor


def with_hidden_states(
    args: tuple[Any, ...], kwargs: dict[str, Any], tensor: torch.Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a module's arguments with `hidden_states` replaced, as a forward pre-hook returns them."""
    return ((tensor, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": tensor})


def _all(hooks: Sequence[Hook]) -> Hook:
    """Return one hook that runs several, so that a module pays for one call only."""
    if len(hooks) == 1:
        return hooks[0]

    def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        for each in hooks:
            each(module, args, kwargs, output)

    return hook


@contextmanager
def hooked(handles: Sequence[Any]) -> Iterator[None]:
    """Remove hooks afterwards, even after an error; a handle is anything with `remove()`."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def reading(readers: Sequence[BlockReader], watcher: LastQuery) -> Iterator[None]:
    """Attach the readers and let `watcher` see attention inside the block."""
    with hooked([handle for reader in readers for handle in reader.attach()]):
        token = ACTIVE.set(watcher)
        try:
            yield
        finally:
            ACTIVE.reset(token)
