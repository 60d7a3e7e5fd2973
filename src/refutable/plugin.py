"""The pytest plugin's entry point: inert and cheap unless a claims file is configured.

It is loaded in every project where this package is installed, so it registers ini keys and a hook, and nothing else.
Options, fixtures and hooks that do anything come from `refutable.pytest_plugin`, only where `refutable_claims` is set
or `--claims` is given.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from refutable import hookspecs


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hook. https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_addhooks"""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the ini keys. https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_addoption"""
    parser.addini("refutable_claims", "claims file; setting it switches refutable on", type="string", default="")
    parser.addini(
        "refutable_models",
        "registry rows that add to or override the packaged ones",
        type="string",
        default="",
    )
    parser.addini("refutable_reports", "folder that reports are written to", type="string", default="reports")
    parser.addini(
        "refutable_extensions",
        "modules with the hook pytest_refutable_extend; the refutable command reads them too",
        type="args",
        default=[],
    )
    parser.addini("refutable_published", "the verdicts.json that `refutable publish` writes", type="string", default="")
    parser.addini("refutable_page", "page of verdicts that `refutable page` writes", type="string", default="")
    parser.addini(
        "refutable_on_tables",
        "verdicts.json of a run with --measurements, which the page of verdicts shows beside what was measured",
        type="string",
        default="",
    )
    parser.addini(
        "refutable_figures",
        "figures drawn at the end of a run: names or globs, or none; by default all that it has data for",
        type="args",
        default=[],
    )
    parser.addini("refutable_catalogue", "catalogue that `refutable catalogue` shows", type="string", default="")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    """Add the options where refutable is switched on, after the conftests, so that names they take are theirs.

    https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_load_initial_conftests
    """
    named = any(arg.split("=")[0] in ("--claims", "--refutable-claims") for arg in args)
    switched_on = named or bool(early_config.getini("refutable_claims"))
    if not switched_on and any(place.startswith("refutable.suite") for place in (*args, *_testpaths(early_config))):
        raise pytest.UsageError(
            "refutable.suite tries claims and no claims file is named: give --claims FILE, or set refutable_claims in"
            " the ini file (refutable init FOLDER starts a suite)"
        )
    from refutable.pytest_plugin import command_line

    command_line.restart_if_split(early_config, args)
    result = yield
    if switched_on:
        from refutable._util.progress import task
        from refutable.pytest_plugin.progress import show

        show(early_config)
        command_line.add(parser)
        with task("loading refutable"):
            early_config.pluginmanager.import_plugin("refutable.pytest_plugin.hooks")
    return result


def _testpaths(config: pytest.Config) -> list[str]:
    return list(config.getini("testpaths")) if config.inipath is not None else []
