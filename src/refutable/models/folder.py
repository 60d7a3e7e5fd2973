"""The registry row of a folder that no row describes, made from its own config.json."""

from __future__ import annotations

import json
import re
from pathlib import Path

from refutable.errors import BadInput
from refutable.models.families import family_of
from refutable.models.registry import ModelRow


def row_of_folder(folder: Path) -> ModelRow:
    """Return the row of a folder as `save_pretrained` writes it.

    Raises:
        BadInput: there is no usable config.json, or its family is not supported.
    """
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"{file}: cannot be read ({error.strerror}); give a folder with config.json and weights"
        ) from None
    except ValueError:
        raise BadInput(f"{file}: is not JSON; fetch it again") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise BadInput(f"{file}: names no `model_type`; give the folder of a model of transformers")
    family = family_of(config["model_type"])
    return ModelRow(
        name=re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).lstrip("._-") or "model",
        title=folder.resolve().name,
        family=family.model_type,
        parameters=1,
        organisation="-",
        licence="-",
        config=config,
        config_source="its own config.json",
    )
