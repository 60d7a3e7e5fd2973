"""Loads extensions before any subcommand, as a pytest run does."""

from __future__ import annotations

from typing import Annotated

import typer

from refutable import __version__
from refutable.hookspecs import extend_without_pytest

WITHOUT = ("diff", "init", "cache")  # read neither claims nor models


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"refutable {__version__}")
        raise typer.Exit


def load_extensions(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and leave")
    ] = False,
) -> None:
    """Let installed packages and the modules named in the ini file register their extensions."""
    if context.invoked_subcommand not in WITHOUT:
        extend_without_pytest()
