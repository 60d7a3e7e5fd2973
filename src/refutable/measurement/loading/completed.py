"""What transformers makes of a configuration of a model without a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refutable._util.text import first_line
from refutable.errors import BadInput
from refutable.measurement.loading.dry_run import parameters_of
from refutable.measurement.loading.load import quiet
from refutable.measurement.loading.shape import configured
from refutable.models.config import Config
from refutable.models.from_folder import without_ours
from refutable.models.own import Completed
from refutable.models.same_model import IMMATERIAL

_OF_NO_USE = (
    "architectures",
    "transformers_version",
    "id2label",
    "label2id",
    "dtype",
    "torch_dtype",
    "quantization_config",
)


def complete(config: Config) -> Completed:
    """Return a configuration with its family's defaults, and how many parameters a model of it has.

    Raises:
        BadInput: transformers cannot make a model of it.
    """
    quiet()
    plain = {key: value for key, value in config.items() if key not in _OF_NO_USE}
    defaults = without_ours(configured(plain).to_dict())
    filled = {key: value for key, value in defaults.items() if value is not None and key not in IMMATERIAL}
    whole: dict[str, Any] = {key: value for key, value in {**filled, **plain}.items() if key not in _OF_NO_USE}
    try:
        return Completed(whole, parameters_of(whole))
    except Exception as error:  # whatever transformers says of a configuration
        raise BadInput(f"config.json: transformers can make no model of it: {first_line(error)}") from None


def gguf_config(path: Path) -> Config:
    """Return the configuration that a GGUF file states.

    Raises:
        BadInput: transformers cannot read it.
    """
    from transformers import AutoConfig

    quiet()
    try:
        found = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
    except Exception as error:  # its reader raises whatever it meets
        raise BadInput(
            f"{path}: transformers cannot read the header of this GGUF file ({first_line(error)}); give safetensors"
            " instead"
        ) from None
    return without_ours(found.to_dict())
