"""Shows on the terminal what takes long while it does: fetching, reading and converting weights."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import nullcontext

import pytest

LOGGER = logging.getLogger("refutable")


class OnTerminal(logging.Handler):
    """Writes each line past pytest's capture: through its reporter, or, on a worker of xdist, to standard error."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(logging.INFO)
        self._config = config

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line of its own."""
        plugins = self._config.pluginmanager
        capture, reporter = plugins.getplugin("capturemanager"), plugins.getplugin("terminalreporter")
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            if reporter is not None:
                reporter.ensure_newline()
                reporter.write_line(self.format(record))
            else:
                print(self.format(record), file=sys.stderr, flush=True)


def show(config: pytest.Config) -> Callable[[], None]:
    """Begin to show lines; returns what ends it."""
    handler, level, propagate = OnTerminal(config), LOGGER.level, LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False  # or pytest would repeat them below every failure

    def end() -> None:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        LOGGER.propagate = propagate

    return end
