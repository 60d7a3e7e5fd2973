"""Where things are that several tests read."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
RECORDED = Path(os.environ.get("REFUTABLE_RECORDED", SHARED / "recorded"))
