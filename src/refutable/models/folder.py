"""The registry row of a folder that no row describes, made from its own config.json."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from refutable.models.config import Config
from refutable.models.families import family_of
from refutable.models.from_folder import read_config
from refutable.models.registry import ModelRow


def row_of_folder(folder: Path, count: Callable[[Config], int]) -> ModelRow:
    """Return the row of a folder as `save_pretrained` writes it.

    Args:
        folder: with config.json and weights.
        count: says how many parameters a model of a configuration has.

    Raises:
        BadInput: there is no usable config.json, or its family is not supported.
    """
    file = folder / "config.json"
    config = read_config(file)
    family = family_of(config["model_type"])
    return ModelRow(
        name=re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).lstrip("._-") or "model",
        title=folder.resolve().name,
        family=family.model_type,
        parameters=count(config),
        organisation="-",
        licence="-",
        config=config,
        config_source="its own config.json",
    )
