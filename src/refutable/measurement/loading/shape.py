"""A model's shape, as transformers makes it of a configuration, without any weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from refutable._util.text import whole_reason
from refutable.errors import BadInput


def configured(config: Mapping[str, Any]) -> Any:
    """Return a configuration as transformers' own object.

    Raises:
        BadInput: transformers cannot make one of it, and why; the caller knows which file it is from.
    """
    from transformers import AutoConfig

    settings = copy.deepcopy({key: value for key, value in config.items() if key != "model_type"})
    try:
        return AutoConfig.for_model(config["model_type"], **settings)
    except Exception as error:  # its validators raise whatever they meet
        raise BadInput(f"transformers cannot use this configuration: {whole_reason(error)}") from None


def on_meta(config: Mapping[str, Any], dtype: str, attention: str) -> Any:
    """Return a network of a configuration on the meta device, its weights plain numbers even if stored ones are not."""
    from transformers import AutoModelForCausalLM

    shape = configured({key: value for key, value in config.items() if key != "quantization_config"})
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(
            shape, dtype=getattr(torch, dtype), attn_implementation=attention, trust_remote_code=False
        )
