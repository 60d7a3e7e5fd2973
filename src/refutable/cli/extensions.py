"""Loads extensions before any subcommand, as a pytest run does."""

from __future__ import annotations

import importlib.metadata

import typer

from refutable._util.pytest_ini import ini_words

WITHOUT = ("diff", "init")  # read neither claims nor models


def load_extensions(context: typer.Context) -> None:
    """Let installed packages and the modules that the ini file names add what they have."""
    if context.invoked_subcommand in WITHOUT:
        return
    folder, names = ini_words("refutable_extensions")
    if not names and not importlib.metadata.entry_points(group="refutable.extensions"):
        return
    import pytest

    from refutable import hookspecs
    from refutable.extensions import HOOK, extend, import_modules, load_installed

    load_installed()
    plugins = pytest.PytestPluginManager()
    plugins.add_hookspecs(hookspecs)
    for module in import_modules(names, folder):
        plugins.register(module)
    extend(HOOK, lambda extensions: plugins.hook.pytest_refutable_extend(extensions=extensions))
