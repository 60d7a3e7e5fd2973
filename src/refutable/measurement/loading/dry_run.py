"""Builds a model on the meta device, so that a first real run does not fail on a name.

No weights, no memory and no network: the configuration's class as transformers builds it, every module that a tap
needs, and the number of parameters. What only the weights can show, such as closure, is left to the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from refutable.errors import WeightsUnavailable
from refutable.measurement.loading.accounted import count_parameters
from refutable.measurement.loading.load import attention_of, quiet
from refutable.measurement.loading.shape import on_meta
from refutable.models.device import EVERY_GPU
from refutable.models.families import Family
from refutable.models.reduced_config import reduced
from refutable.models.row import ModelRow
from refutable.models.subject import Subject
from refutable.models.weights import Finder, bytes_needed


@dataclass(frozen=True, slots=True)
class DryRun:
    """What was seen of a model without its weights.

    Attributes:
        faults: what would fail or mislead a real run.
        notes: what it is built of and what it needs.
    """

    faults: tuple[str, ...]
    notes: tuple[str, ...]


def try_dry(row: ModelRow, dtype: str, finder: Finder) -> DryRun:
    """Build a model without weights and check what a run needs of it.

    Args:
        row: its row of the registry.
        dtype: of the weights.
        finder: says which device it would run on, and which tokenizer is at hand.
    """
    if row.unusable:
        return DryRun((row.unusable,), ("not built",))
    quiet()
    attention = attention_of(row)
    try:
        network = on_meta(row.config, dtype, attention)
        small = on_meta(reduced(row.config), dtype, attention)
    except Exception as error:  # whatever transformers says of a configuration is the finding
        first = next(iter(str(error).splitlines()), "")
        return DryRun((f"cannot be built: {type(error).__name__}: {first}",), (row.family,))
    faults = [
        *_wrong_modules(network, small, row),
        *_wrong_numbers(network, row),
        *_wrong_settings(network, attention, row.architecture),
    ]
    counted = count_parameters(network)
    notes = (f"{type(network).__name__}", f"{counted:,} parameters", *_needs(row, dtype, finder))
    return DryRun(tuple(faults), notes)


def parameters_of(config: Any) -> int:
    """Return the number of parameters that a model of this configuration has; no weights are made."""
    return count_parameters(on_meta(config, "float32", "eager"))


def _wrong_modules(network: Any, small: Any, row: ModelRow) -> Iterator[str]:
    """Yield each module that a tap needs and a block has not, and where the reduced stand-in has other modules."""
    family = row.architecture
    try:
        blocks, few = network.get_submodule(family.blocks), small.get_submodule(family.blocks)
    except AttributeError:
        yield f"no blocks at {family.blocks!r}"
        return
    if len(blocks) != row.fact("layers"):
        yield f"{len(blocks)} blocks at {family.blocks!r}, and the row says {row.fact('layers')} layers"
    for tap in ("attention", "mlp", "attention_update", "mlp_update"):
        path = getattr(family, tap)
        without = [number for number, block in enumerate(blocks, start=1) if not _has(block, path)]
        if without:
            yield f"tap {tap}: no module {path!r} in {len(without)} of {len(blocks)} blocks, first in {without[0]}"
    kinds = {tuple(name for name, _ in block.named_modules()) for block in few}
    other = [
        n for n, block in enumerate(blocks, start=1) if tuple(name for name, _ in block.named_modules()) not in kinds
    ]
    if other:
        yield f"block {other[0]} has other modules than its reduced stand-in, on which the wiring is probed"


def _has(block: torch.nn.Module, path: str) -> bool:
    try:
        block.get_submodule(path)
    except AttributeError:
        return False
    return True


def _wrong_numbers(network: Any, row: ModelRow) -> Iterator[str]:
    counted = count_parameters(network)
    if counted != row.parameters:
        yield f"{counted:,} parameters, and the row says {row.parameters:,}"


def _wrong_settings(network: Any, attention: str, family: Family) -> Iterator[str]:
    got = network.config._attn_implementation
    if got != attention:
        yield f"attention runs as {got!r}, and its probabilities are seen only as {attention!r}"
    if family.scale and getattr(network.config, family.scale, None) is None:
        yield f"the configuration has no {family.scale!r}, by which its updates are scaled"
    found = network.get_submodule(family.blocks) if _has(network, family.blocks) else ()
    blocks = {type(block).__name__ for block in found}
    cut = blocks - set(network._no_split_modules or ())
    if cut:
        yield f"{', '.join(sorted(cut))} might be cut in two when the model is spread over GPUs"


def _needs(row: ModelRow, dtype: str, finder: Finder) -> Iterator[str]:
    """Yield what a real run would need: memory, where it would go, and its tokenizer."""
    needed, device = bytes_needed(row.parameters, dtype), finder.device
    room = f"{device.title} ({device.memory / 1e9:.1f} GB)"
    try:
        finder.check_fits(row, Subject(row.name, dtype=dtype, device=device.name, named=True))
    except WeightsUnavailable as error:
        fits = f"does NOT fit {room}" if needed > device.memory else f"is NOT tried on {room}: {error.reason}"
        yield f"{dtype} {needed / 1e9:.1f} GB {fits}; to measure: {error.fix}"
    else:
        yield f"{dtype} {needed / 1e9:.1f} GB fits {room}"
        yield "spread over every GPU" if device.name == EVERY_GPU else f"device map: all on {device.name}"
    place, _ = finder.tokenizer_at_hand(row, Subject(row.name, revision=row.at or None))
    if place is not None:
        yield "tokenizer at hand"
    elif row.hub is None:
        yield "no tokenizer: stand-in tokens"
    else:
        gate = ", GATED: accept its licence first" if row.gated else ""
        yield f"{_tokenizer_class(row)} to be fetched from {row.hub} at {row.revision or 'main'}{gate}"


def _tokenizer_class(row: ModelRow) -> str:
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    named = TOKENIZER_MAPPING_NAMES.get(row.family)
    first = named if isinstance(named, str) else next((name for name in named or () if name), None)
    return first or "the tokenizer that its files name"
