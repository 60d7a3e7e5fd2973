"""On which side of a threshold a value is to be proved."""

from __future__ import annotations

from typing import Literal

Side = Literal["above", "below"]
