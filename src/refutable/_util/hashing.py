"""Content addresses: one hash per set of facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def key_of(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of some facts: the address of whatever they determine."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, allow_nan=False).encode()).hexdigest()
