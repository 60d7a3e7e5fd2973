"""Measures what the selected claims read, in place of trying them: what `refutable measure` makes of a run of pytest.

Claims, models, options, ini file, conftests and selection are then pytest's own, and mean the same.
"""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from refutable.errors import RefutableError
from refutable.pytest_plugin import command_line
from refutable.pytest_plugin.state import SESSION, case_of
from refutable.sweep.asked import Asked
from refutable.sweep.sweep import Sweep

SUITE = "refutable.suite"


class Measuring:
    """A plugin for one run.

    Attributes:
        status: exit status of the sweep; None while there was none.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.status: int | None = None
        self._faults: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Collect the packaged suite, which has every claim, unless tests are named.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_configure
        """
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            config.args, config.option.pyargs = [SUITE], True

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Refuse a run without claims.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_sessionstart
        """
        if SESSION not in session.config.stash:
            raise pytest.UsageError("no claims file: give --claims FILE or set refutable_claims in the ini file")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what cannot be collected: what it would read is not known.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_collectreport
        """
        if report.failed:
            self._faults.append(f"{report.nodeid or 'the tests'}: cannot be collected\n{report.longreprtext}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Measure instead.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_runtestloop
        """
        config = session.config
        if self._faults:
            raise pytest.UsageError("\n".join(self._faults))
        cases = [case for item in session.items if (case := case_of(item)) is not None]
        modules = tuple(config.getini("refutable_extensions"))
        capture = config.pluginmanager.getplugin("capturemanager")
        try:
            if not cases:
                raise pytest.UsageError(
                    "no claim is selected; -k and -m choose among the ids that `pytest --collect-only -q` lists"
                )
            config.stash[SESSION].check_named(cases)
            folder = command_line.ini_folder(config)
            with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
                self.status = Sweep(config.stash[SESSION], self.asked, modules, folder).run()
        except RefutableError as error:
            raise pytest.UsageError(str(error)) from None
        return True
