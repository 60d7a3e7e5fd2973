"""Merges an adapter into a network's weights, through peft; every tensor of the adapter is used, or it is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from refutable._util.text import few, whole_reason
from refutable.errors import BadInput, InstrumentError
from refutable.measurement.loading.packed import cast
from refutable.models.adapter import SETTINGS, WEIGHTS, read_adapter


@torch.no_grad()
def merged(network: Any, folder: Path, dtype: str) -> Any:
    """Return a network with an adapter merged into its weights, which are then rounded to a dtype, buffers excepted.

    peft is given the settings that decide the weights (`SETTINGS`) and no others: it imports modules that some name.

    Args:
        network: in float32; it is changed.
        folder: the adapter's.
        dtype: of the parameters that are returned.

    Raises:
        BadInput: the adapter does not fit the network, or adapts one of two tied matrices.
        InstrumentError: its tensors are not those that its settings ask for.
    """
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    settings = {key: value for key, value in read_adapter(folder).items() if key in SETTINGS and value is not None}
    tensors = load_file(folder / WEIGHTS)
    ends = network.get_input_embeddings(), network.get_output_embeddings()
    tied = ends[0].weight is ends[1].weight
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about training, and of a Conv1D's orientation, which it then takes
            adapted = get_peft_model(network, LoraConfig(**settings, init_lora_weights=False, inference_mode=True))
            if tied and ends != (network.get_input_embeddings(), network.get_output_embeddings()):
                raise BadInput(f"{folder}: adapts one of two matrices that are tied, so that merging it changes both")
            _check_tensors(tensors, get_peft_model_state_dict(adapted, save_embedding_layers=False), folder)
            loaded: Any = set_peft_model_state_dict(adapted, tensors)
            if loaded.unexpected_keys:
                raise InstrumentError(f"{folder}: {few(loaded.unexpected_keys)} would be left out")
            whole = adapted.merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise BadInput(f"{folder}: cannot be merged into this model: {whole_reason(error)}") from None
    cast(whole, dtype)
    return whole.requires_grad_(True)


def _check_tensors(tensors: dict[str, torch.Tensor], asked: dict[str, torch.Tensor], folder: Path) -> None:
    missing, left = sorted(asked.keys() - tensors.keys()), sorted(tensors.keys() - asked.keys())
    odd = sorted(name for name in asked.keys() & tensors.keys() if asked[name].shape != tensors[name].shape)
    told = [
        *((f"{len(missing)} tensors are missing ({few(missing, 3)})",) if missing else ()),
        *((f"{len(left)} would be left out ({few(left, 3)})",) if left else ()),
        *((f"{len(odd)} are of another shape ({few(odd, 3)})",) if odd else ()),
    ]
    if told:
        raise InstrumentError(f"{folder / WEIGHTS}: {'; '.join(told)}; is it an adapter of this model?")
