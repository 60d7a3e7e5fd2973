"""A model's configuration, as transformers writes it to config.json."""

from collections.abc import Mapping
from typing import Any

Config = Mapping[str, Any]
