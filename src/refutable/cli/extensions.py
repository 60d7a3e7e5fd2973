"""Loads extensions before any subcommand, as a pytest run does."""

from __future__ import annotations

import typer

from refutable.hookspecs import extend_without_pytest

WITHOUT = ("diff", "init")  # read neither claims nor models


def load_extensions(context: typer.Context) -> None:
    """Let installed packages and the modules named in the ini file register their extensions."""
    if context.invoked_subcommand not in WITHOUT:
        extend_without_pytest()
