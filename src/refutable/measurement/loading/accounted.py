"""Accounts for every tensor of a weight file: what was not read, or read from nowhere, is refused by name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from refutable._util.text import counted
from refutable.errors import BadInput, InstrumentError
from refutable.models.config import Config
from refutable.models.row import ModelRow
from refutable.models.safetensors_header import ITEM_BITS, StoredTensor
from refutable.models.same_model import check_defaults, check_same

# Buffers that older files carry and current code computes: a causal mask has four dimensions, so that a bias that was
# trained, which has one, is never taken for it.
_MASK = re.compile(r"(^|\.)(attn|attention|attn\.attention)\.(bias|masked_bias)$")
_COMPUTED = re.compile(
    r"(^|\.)(rotary_emb\.inv_freq|attn\.embed_positions|attn\.causal_mask|position_ids|decoder\.version)$"
)
_SCALES = re.compile(r"(_scale_inv|\.activation_scale|\.weight_scale|\.input_scale)$")  # of FP8 weights
_SHOWN = 3


class Stored(Protocol):
    """What is asked of a tensor in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        ...

    @property
    def elements(self) -> int:
        """Number of elements."""
        ...


def check_accounted(
    network: Any,
    report: Mapping[str, Any],
    stored: Mapping[str, Stored],
    who: str,
    known: Collection[str] | None = None,
) -> None:
    """Check that a network's weights are those of its files: all of them, and nothing else.

    Twice: by the names that transformers reports, and, since it keeps silent about some, by the number of elements.

    Args:
        network: as transformers read it.
        report: transformers' own account of the reading.
        stored: the tensors of the files, by name.
        who: the model, for messages.
        known: names that a tensor of the files may have; those of the network's own, when absent.

    Raises:
        InstrumentError: a weight is missing, unexpected or of another shape.
    """
    missing, odd = sorted(report["missing_keys"]), [_unlike_in_shape(*key) for key in report["mismatched_keys"]]
    if missing or odd:
        lacking = (f"{counted(len(missing), 'weight')} missing from the files ({_some(missing)})",) if missing else ()
        other = (f"{counted(len(odd), 'weight')} of another shape ({_some(sorted(odd))})",) if odd else ()
        raise InstrumentError(
            f"{who}: {' and '.join((*lacking, *other))}; transformers would have drawn them at random; give the model's"
            " own config.json beside whole weights"
        )
    left = sorted(name for name in report["unexpected_keys"] if not is_computed(name, stored.get(name)))
    if left:
        raise InstrumentError(
            f"{who}: {len(left)} tensors of the files would be left out ({_some(left)}); its config.json says that it"
            " has none"
        )
    check_counted(network, stored, who, known)


def check_counted(network: Any, stored: Mapping[str, Stored], who: str, known: Collection[str] | None = None) -> None:
    """Check that files hold as many numbers as a network; arguments and errors as `check_accounted`."""
    read = {name: tensor for name, tensor in stored.items() if not is_computed(name, tensor)}
    held, expected = sum(tensor.elements for tensor in read.values()), _elements(network, read)
    if held != expected:
        kept = network.state_dict()
        own = kept if known is None else known
        odd = _unlike(read, own) if held > expected else _unlike(own, read)
        odd = odd or sorted(name for name in read.keys() & kept.keys() if read[name].elements != kept[name].numel())
        raise InstrumentError(
            f"{who}: its files hold {held:,} numbers, and the model was made from {expected:,}"
            f"{f'; perhaps {_some(odd)}' if odd else ''}"
        )


def check_named(network: Any, row: ModelRow, own: Config | None, where: str) -> None:
    """Check that a network is the model that was named: by every fact, and by its number of parameters.

    Args:
        network: as it was read.
        row: the model that was named.
        own: the row's configuration with its family's defaults; None where the network was made from it.
        where: where the weights are from, for messages.

    Raises:
        BadInput: a fact differs, or a key that changes numbers and that one of the two leaves to its default.
        InstrumentError: the number of parameters does.
    """
    if own is not None:
        found = network.config.to_dict()
        check_same(row, found, where)
        check_defaults(row, own, found, where)
    found = count_parameters(network)
    if found != row.parameters:
        raise InstrumentError(
            f"{where}: not {row.name}: {found:,} parameters, and {row.name} has {row.parameters:,}; name the model"
            " it is with --model, or write its row: docs/adding-a-model.md"
        )


def without_scales(stored: Mapping[str, StoredTensor], config: Config, who: str) -> dict[str, StoredTensor]:
    """Return the tensors of a file but for the scales of its FP8 weights.

    Raises:
        BadInput: weights are stored in 8 bits or fewer and the configuration does not say so, or a scale has no such
            weight, or such a weight no scale.
    """
    small = {name for name, tensor in stored.items() if ITEM_BITS.get(tensor.dtype, 0) <= 8 and tensor.dtype != "BOOL"}
    small = {name for name in small if not is_computed(name, stored[name])}
    scales = {name for name in stored if _SCALES.search(name)}
    if config.get("quantization_config") is None:
        if small:
            raise BadInput(
                f"{who}: {sorted(small)[0]} is stored as {stored[sorted(small)[0]].dtype}, and config.json names no"
                " quantization_config; give the model's own config.json"
            )
        return dict(stored)
    scaled = {_SCALES.sub("", name) for name in scales if name.endswith("_scale_inv")}
    weights = {name for name in small if name.endswith("weight")}
    other_scales = scales - {f"{name}_scale_inv" for name in scaled}
    odd = sorted((scaled ^ weights) | other_scales)
    if odd:
        raise BadInput(f"{who}: {odd[0]} has a scale without an FP8 weight, or no scale; fetch the model again")
    return {name: tensor for name, tensor in stored.items() if name not in scales}


def count_parameters(network: Any) -> int:
    """Return the number of parameters; tied weights count once."""
    return sum(int(parameter.numel()) for parameter in network.parameters())


def is_computed(name: str, tensor: Stored | None) -> bool:
    """Whether a tensor of a file is a buffer that current code computes by itself."""
    if _COMPUTED.search(name):
        return True
    return bool(_MASK.search(name)) and (tensor is None or len(tensor.shape) in (0, 4))


def _elements(network: Any, stored: Iterable[str]) -> int:
    """Return how many numbers the files must hold: weights, kept buffers, and each tied copy that they have."""
    kept = network.state_dict()
    buffers = sum(int(buffer.numel()) for name, buffer in network.named_buffers() if name in kept)
    whole = dict(network.named_parameters())
    tied = [name for name in stored if name in kept and name not in whole and name not in dict(network.named_buffers())]
    return count_parameters(network) + buffers + sum(int(kept[name].numel()) for name in tied)


def _unlike(names: Collection[str], others: Collection[str]) -> list[str]:
    """Return the names that are not among others, with or without a prefix."""
    return sorted(name for name in names if not any(one.endswith(name) or name.endswith(one) for one in others))


def _unlike_in_shape(name: str, stored: Iterable[int], made: Iterable[int]) -> str:
    return f"{name} is {list(stored)} in the files and {list(made)} by the configuration"


def _some(names: list[str]) -> str:
    return f"{', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
