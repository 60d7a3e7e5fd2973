"""Content addresses: one hash for a set of facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def key_of(facts: Mapping[str, Any]) -> str:
    """Return the address of what these facts determine: SHA-256 of their canonical JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, allow_nan=False).encode()).hexdigest()
