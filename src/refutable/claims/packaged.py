"""Claims that come with the package: in a wheel as its data, in a checkout as the folder they are written in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from refutable.errors import UnknownName

NAMES = ("field",)
_SCHEMA = re.compile(r"^(# yaml-language-server: \$schema=).*$", re.MULTILINE)


def packaged_claims(name: str, schema: str) -> Iterator[tuple[str, str]]:
    """Yield the files of packaged claims: name and text, with the place of the schema for editors changed.

    Args:
        name: of the claims.
        schema: path of the schema from the folder that the files are for.

    Raises:
        UnknownName: no packaged claims are called so.
    """
    if name not in NAMES:
        raise UnknownName("packaged claims", name, NAMES)
    for entry in sorted(_folder(name).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            yield entry.name, _SCHEMA.sub(rf"\g<1>{schema}", entry.read_text(encoding="utf-8"))


def _folder(name: str) -> Traversable:
    """Return the folder of packaged claims; a checkout has them at its top, and no copy in the package."""
    built = resources.files("refutable.data").joinpath("claims", name)
    return built if built.is_dir() else Path(__file__).parents[3] / "claims" / name
