"""Optional packages: pandas, those that only measuring needs, and those that only some weights need."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from types import ModuleType

from refutable.errors import BadInput, NotMeasured

MEASURE = ("torch", "transformers", "tokenizers", "accelerate", "gguf", "psutil", "safetensors")
INSTALL = "pip install 'refutable[measure]'"


def require_measure() -> None:
    """Raise NotMeasured, with the command to install them, if packages that measuring needs are missing."""
    if _missing():
        packages = ", ".join(_missing())
        raise NotMeasured(f"measuring needs what is not installed here ({packages}): {INSTALL}")


def require_extra(extra: str, packages: tuple[str, ...], what: str) -> None:
    """Raise NotMeasured, with the command to install them, if packages of an extra are missing.

    Args:
        extra: its name in pyproject.toml.
        packages: which are needed.
        what: needs them, in words.
    """
    missing = ", ".join(name for name in packages if not _installed(name))
    if missing:
        raise NotMeasured(
            f"{what}: not without {missing}, which is not installed here", f"pip install 'refutable[{extra}]'"
        )


def pandas() -> ModuleType:
    """Return pandas; raises BadInput, with the command to install it, if it is missing."""
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
    except ImportError:  # an import finder refuses it
        return False
