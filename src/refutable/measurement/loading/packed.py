"""Weights packed in a few bits: accounts for their tensors, and tells which modules of a network have some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from refutable.errors import BadInput
from refutable.measurement.loading.accounted import is_computed
from refutable.models.quantised import Packing
from refutable.models.safetensors_header import ITEM_BITS, StoredTensor


@dataclass(frozen=True, slots=True)
class _Form:
    """Which tensors stand for one weight.

    Attributes:
        packed: the ending of the packed numbers' name.
        needs: endings of what lies beside them always.
        may: endings of what may.
    """

    packed: str
    needs: tuple[str, ...]
    may: tuple[str, ...] = ()


def unpacked(stored: Mapping[str, StoredTensor], packing: Packing, who: str) -> dict[str, StoredTensor]:
    """Return the weights that the tensors of packed files stand for, each with the number of its elements.

    Args:
        stored: the tensors of the files, by name.
        packing: how they are packed.
        who: where they are from, for messages.

    Raises:
        BadInput: a tensor that belongs to a packed weight is there without the others, one of integers belongs to none,
            or no weight is packed.
    """
    form = _form_of(packing)
    parts = {name: name.removesuffix(end) for end in (*form.needs, *form.may) for name in stored if name.endswith(end)}
    stems = set(parts.values())
    if not stems:
        raise BadInput(f"{who}: config.json says {packing}, and no weight is; give the model's own config.json")
    for stem in sorted(stems):
        gone = [stem + end for end in (form.packed, *form.needs) if stem + end not in stored]
        if gone:
            raise BadInput(
                f"{who}: {gone[0]} is missing beside what else there is of {stem} ({packing}); fetch it again"
            )
    found: dict[str, StoredTensor] = {}
    for name, tensor in stored.items():
        stem = name.removesuffix(form.packed)
        if stem != name and stem in stems:
            elements = tensor.elements * ITEM_BITS[tensor.dtype] // packing.bits
            found[f"{stem}.weight"] = tensor._replace(shape=(elements,))
        elif name not in parts:
            if tensor.dtype[0] in "IU" and not is_computed(name, tensor):
                raise BadInput(f"{who}: {name} is stored as {tensor.dtype} and is no part of a weight ({packing})")
            found[name] = tensor
    return found


def _form_of(packing: Packing) -> _Form:
    if packing.method != "bitsandbytes":
        return _Form(".qweight", (".qzeros", ".scales"), (".g_idx",) if packing.method == "gptq" else ())
    if packing.bits == 8:
        return _Form(".weight", (".SCB",), (".weight_format",))
    state = f".weight.quant_state.bitsandbytes__{packing.code}"
    nested = (".weight.nested_absmax", ".weight.nested_quant_map")
    return _Form(".weight", (".weight.absmax", ".weight.quant_map", state), nested)


def cast(network: Any, dtype: str) -> None:
    """Round a network's plain parameters to a dtype; what is packed stays, and so do buffers, which code computes."""
    for parameter in network.parameters():
        if parameter.is_floating_point() and not hasattr(parameter, "quant_state"):
            parameter.data = parameter.data.to(getattr(torch, dtype))


def is_packed(module: Any) -> bool:
    """Whether a module's matrix is packed in a few bits, so that it cannot be read as numbers."""
    weight = getattr(module, "weight", None)
    if not torch.is_tensor(weight):
        return getattr(module, "qweight", None) is not None
    return not weight.is_floating_point() or hasattr(weight, "quant_state")


def has_packed(network: Any) -> bool:
    """Whether any matrix of a network is packed."""
    return any(is_packed(module) for module in network.modules())
