"""What a folder's model card states."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import yaml

from refutable._util.reading import read_text
from refutable.errors import BadInput


def licence_of(folder: Path) -> str | None:
    """Return the licence that a model card states in its head; None where it cannot be read."""
    with suppress(BadInput, ValueError, RecursionError, yaml.YAMLError):
        match = re.match(r"---\n(.*?)\n---\s", read_text(folder / "README.md"), re.DOTALL)
        head = yaml.safe_load(match[1]) if match else None
        licence = head.get("license") if isinstance(head, Mapping) else None
        return licence[:60] if isinstance(licence, str) else None
    return None
