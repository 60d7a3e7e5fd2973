"""Arguments that subcommands share, with defaults from the ini file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refutable._util.pytest_ini import ini_path
from refutable._util.reading import exists
from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.models.registry import ModelRegistry

ClaimsArgument = Annotated[
    Path | None, typer.Argument(help="claims file; by default the ini file's, else claims.yaml", show_default=False)
]
ModelsOption = Annotated[
    Path | None,
    typer.Option("--models", help="registry rows that add to or override the packaged ones; by default the ini file's"),
]
VerdictsOption = Annotated[
    Path | None,
    typer.Option("--verdicts", help="verdicts.json of a run; by default the published one (refutable_published)"),
]


def claims_file(given: Path | None) -> Path:
    """Return the claims file: the given one, else the ini file's, else ``claims.yaml``."""
    return given or ini_path("refutable_claims") or Path("claims.yaml")


def models_file(given: Path | None) -> Path | None:
    """Return the file of registry rows: the given one, else the ini file's, else None."""
    return given or ini_path("refutable_models")


def known_models(given: Path | None) -> ModelRegistry:
    """Return the registry, with the rows of the given file, or of the ini file's where there is one.

    Whoever asks for a packaged model needs no other rows: that the ini file's are not there is only told.
    """
    from refutable.models.registry import load_registry

    file = models_file(given)
    if file is not None and given is None and not exists(file):
        told = f"{file}: no such file, which refutable_models in the ini file names; only packaged models are known"
        typer.echo(told, err=True)
        file = None
    return load_registry(file)


def reports_folder() -> Path:
    """Return the folder of the runs' reports: the ini file's, else ``reports``."""
    return ini_path("refutable_reports") or Path("reports")


def published() -> Path | None:
    """Return the published verdicts that the ini file names, or None."""
    return ini_path("refutable_published")


def published_file(given: Path | None, option: str = "--verdicts") -> Path:
    """Return the published verdicts: the given file, the one in the given folder, or the one that the ini names.

    Raises:
        BadInput: neither is there.
    """
    if given is not None:
        return given / "verdicts.json" if given.is_dir() else given
    if (named := published()) is not None:
        return named
    raise BadInput(
        f"nothing says where verdicts are published: name the file ({option} FILE), or set refutable_published in the"
        " ini file"
    )
