"""The `refutable` command, one file for each group of subcommands."""

from refutable.cli.app import app

__all__ = ["app"]
