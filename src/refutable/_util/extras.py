"""What measuring needs and judging does not."""

from __future__ import annotations

import functools
import importlib.util

from refutable.errors import NotMeasured

MEASURE = ("torch", "transformers", "accelerate", "gguf", "safetensors")
INSTALL = "pip install 'refutable[measure]'"


def require_measure() -> None:
    """Do nothing where everything is installed that measuring needs.

    Raises:
        NotMeasured: something is missing; says what, and the command that installs it.
    """
    if _missing():
        packages = ", ".join(_missing())
        raise NotMeasured(f"measuring needs what is not installed here ({packages}): {INSTALL}")


@functools.cache
def _missing() -> tuple[str, ...]:
    return tuple(name for name in MEASURE if not _installed(name))


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:  # a finder that refuses it
        return False
