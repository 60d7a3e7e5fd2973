"""What transformers makes of a configuration of a model without a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from refutable._util.text import shortened, whole_reason
from refutable.errors import BadInput
from refutable.measurement.loading.dry_run import parameters_of
from refutable.measurement.loading.load import quiet
from refutable.measurement.loading.shape import configured
from refutable.models.config import Config
from refutable.models.describer import Completed
from refutable.models.from_folder import without_ours
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
        BadInput: transformers cannot make a model of it, and why; the caller knows which file it is from.
    """
    quiet()
    plain = {key: value for key, value in config.items() if key not in _OF_NO_USE}
    defaults = without_ours(configured(plain).to_dict())
    filled = {key: value for key, value in defaults.items() if value is not None and key not in IMMATERIAL}
    whole: dict[str, Any] = {key: value for key, value in {**filled, **plain}.items() if key not in _OF_NO_USE}
    try:
        return Completed(whole, parameters_of(whole))
    except Exception as error:  # whatever transformers says of a configuration
        raise BadInput(f"transformers can make no model of this configuration: {_reason(error, whole)}") from None


def _reason(error: Exception, config: Config) -> str:
    """Return why no model can be made; a word that transformers does not know is told with the key that holds it."""
    if isinstance(error, KeyError) and error.args:
        key = next((key for key, value in config.items() if error.args[0] in (value, *_values(value))), None)
        if key is not None:
            return f"it knows no {shortened(repr(error.args[0]))}, which `{key}` asks for; correct it"
    return whole_reason(error)


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else ()


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
            f"{path}: transformers cannot read the header of this GGUF file ({whole_reason(error)}); give safetensors"
            " instead"
        ) from None
    return without_ours(found.to_dict())
