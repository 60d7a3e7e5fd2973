"""Arguments that subcommands share, with defaults from the ini file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refutable._util.pytest_ini import ini_path

ClaimsArgument = Annotated[
    Path | None, typer.Argument(help="claims file; by default the ini file's, else claims.yaml", show_default=False)
]
ModelsOption = Annotated[
    Path | None,
    typer.Option("--models", help="registry rows that add to or override the packaged ones; by default the ini file's"),
]
VerdictsOption = Annotated[
    Path | None,
    typer.Option("--verdicts", help="verdicts.json of a run; by default published/verdicts.json among the reports"),
]


def claims_file(given: Path | None) -> Path:
    """Return the claims file: the given one, else the ini file's, else ``claims.yaml``."""
    return given or ini_path("refutable_claims") or Path("claims.yaml")


def models_file(given: Path | None) -> Path | None:
    """Return the file of registry rows: the given one, else the ini file's, else None."""
    return given or ini_path("refutable_models")


def reports_folder() -> Path:
    """Return the folder of the runs' reports: the ini file's, else ``reports``."""
    return ini_path("refutable_reports") or Path("reports")


def published_file(given: Path | None) -> Path:
    """Return the published verdicts: the given file or the one in the given folder, else the one among the reports."""
    file = given or reports_folder() / "published"
    return file / "verdicts.json" if given is None or file.is_dir() else file
