"""Optional packages: those that only measuring needs, and pandas."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from types import ModuleType

from refutable.errors import BadInput, NotMeasured

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


def pandas() -> ModuleType:
    """Return pandas.

    Raises:
        BadInput: it is not installed; says the command that installs it.
    """
    try:
        return importlib.import_module("pandas")
    except ImportError:
        raise BadInput("a table of pandas needs pandas: pip install 'refutable[pandas]'") from None


@functools.cache
def _missing() -> tuple[str, ...]:
    return tuple(name for name in MEASURE if not _installed(name))


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:  # a finder that refuses it
        return False
