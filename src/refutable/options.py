"""The options of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked to do; each field means the same as the command-line option of that name."""

    claims: Path
    models_file: Path | None = None
    models: tuple[str, ...] = ()
    weights: str = "pretrained"
    revisions: tuple[str, ...] = ()
    adapter: Path | None = None
    dtype: str = "float32"
    device: str = "auto"
    measurements: Path | None = None
    measurements_map: Path | None = None
    prompts: str | None = None
    skip_hopeless: bool = False
    offline: bool = False
    chat_template: bool = False
