"""What transformers makes of a configuration of a model without a row."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from refutable._util.text import one_line
from refutable.errors import BadInput, NotMeasured
from refutable.measurement.loading.dry_run import parameters_of
from refutable.measurement.loading.load import quiet
from refutable.measurement.loading.shape import configured
from refutable.models.config import Config
from refutable.models.config_facts import fact_of
from refutable.models.families import family_of
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


MOST = {"layers": 10_000, "heads": 100_000, "d_model": 1_000_000, "vocabulary": 100_000_000}
"""More than these have no model, and a network of so many modules would take hours to be described."""


def complete(config: Config) -> Completed:
    """Return a configuration with its family's defaults, and how many parameters a model of it has.

    Raises:
        BadInput: transformers cannot make a model of it, or its sizes are beyond any model's.
    """
    quiet()
    _check_sizes(config)
    plain = {key: value for key, value in config.items() if key not in _OF_NO_USE}
    defaults = without_ours(configured(plain).to_dict())
    filled = {key: value for key, value in defaults.items() if value is not None and key not in IMMATERIAL}
    whole: dict[str, Any] = {key: value for key, value in {**filled, **plain}.items() if key not in _OF_NO_USE}
    try:
        return Completed(whole, parameters_of(whole))
    except Exception as error:  # whatever transformers says of a configuration
        raise BadInput(f"config.json: transformers can make no model of it: {one_line(error)}") from None


def _check_sizes(config: Config) -> None:
    family = family_of(config["model_type"])
    for name, most in MOST.items():
        with suppress(KeyError, NotMeasured):
            value = fact_of(name, family, config)
            if isinstance(value, int | float) and value > most:
                raise BadInput(f"config.json: {value:,.0f} for {name}, of which a model has at most {most:,}; mend it")


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
            f"{path}: transformers cannot read the header of this GGUF file ({one_line(error)}); give safetensors"
            " instead"
        ) from None
    return without_ours(found.to_dict())
