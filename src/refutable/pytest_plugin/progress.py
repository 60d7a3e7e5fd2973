"""Shows on the terminal what takes long while it does, past pytest's capture."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from typing import Any, TextIO, TypedDict

import pytest

from refutable._util.display import Display, is_live
from refutable._util.progress import Task, task

WORKER = "PYTEST_XDIST_WORKER"  # in the environment of xdist's workers, before any plugin is loaded
SILENT = -2  # `-q -q`
DISPLAY = pytest.StashKey[Display]()


def show(config: pytest.Config) -> None:
    """Begin to show what is being done, until pytest ends; nothing with `-q -q`.

    It is a line that is written over where pytest writes to a terminal, and lines on standard error elsewhere. A worker
    of xdist shares that with the process that started it.
    """
    options = config.known_args_namespace
    if DISPLAY in config.stash or getattr(options, "verbose", 0) <= SILENT:  # unknown with -p no:terminal
        return
    worker = os.environ.get(WORKER, "")
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
        live = is_live(sys.stdout) and not worker and options.capture != "no"
        write = _writer(config, sys.stdout if live else sys.stderr)
    display = Display(
        write,
        live=live,
        **_line_of_another(config) if worker else _line_of_pytest(config),
        prefix=f"[{worker}] " if worker else "",
    )
    stack = ExitStack()
    stack.enter_context(display.running())
    config.stash[DISPLAY] = display
    config.add_cleanup(stack.close)
    config.pluginmanager.register(Progress(display), "refutable-progress")


def _writer(config: pytest.Config, stream: TextIO) -> Callable[[str], None]:
    """Return what writes to a stream, whatever pytest captures then.

    Capture exchanges the file behind a descriptor. A copy of it, made while capture is off, needs no switching later,
    which a thread must not do.
    """

    def write_text(text: str) -> None:
        stream.write(text)
        stream.flush()

    stream.flush()
    try:
        copy = os.dup(stream.fileno())
    except (OSError, ValueError, AttributeError):  # a stream without a file, as pytest's own tests use
        return write_text
    encoding = stream.encoding or "utf-8"
    config.add_cleanup(lambda: os.close(copy))

    def write(text: str) -> None:
        data = text.encode(encoding, "replace")
        while data:
            data = data[os.write(copy, data) :]

    return write


class Line(TypedDict):
    """Where others stand on the line that is written, as `Display` asks for it."""

    column: Callable[[], int]
    broke: Callable[[], None]


def _line_of_pytest(config: pytest.Config) -> Line:
    """Return where pytest's reporter stands; with `-v` it writes a test's name again after a break."""

    def reporter() -> Any:
        return config.pluginmanager.getplugin("terminalreporter")

    def broke() -> None:
        with suppress(AttributeError):
            reporter()._tw._current_line = ""
            if reporter().verbosity > 0:
                reporter().currentfspath = None

    return {"column": lambda: reporter()._tw.width_of_current_line if reporter() is not None else 0, "broke": broke}


def _line_of_another(config: pytest.Config) -> Line:
    """Return where the process that started a worker stands: behind a letter, if a test has ended since."""
    letters = [0]
    config.pluginmanager.register(_Letters(letters), "refutable-letters")
    return {"column": lambda: letters[0], "broke": lambda: letters.__setitem__(0, 0)}


class _Letters:
    """Counts the letters that a worker's tests make another process write."""

    def __init__(self, count: list[int]) -> None:
        self._count = count

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one. https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_runtest_logreport"""
        self._count[0] += report.when == "call"


class Progress:
    """Makes a task of each phase of a test, and hears what pytest writes."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._starting = ExitStack()
        self._workers: Task | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[object]) -> None:
        """Show that xdist's workers start: each loads refutable and reads the claims, which takes seconds."""
        self._workers = self._starting.enter_context(task("starting workers", len(specs), "ready"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Count a worker that is ready; after the last one, tests are what is shown."""
        if self._workers is not None:
            self._workers.advance()
            if self._workers.fraction == 1.0:
                self._starting.close()

    def pytest_sessionfinish(self) -> None:
        """Stop waiting for workers that never came.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_sessionfinish
        """
        self._starting.close()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Show what is set up; most claims are measured and judged here.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_runtest_setup
        """
        with task(_name(item)):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Show what is run.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_runtest_call
        """
        with task(_name(item)):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Show what is taken down.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_runtest_teardown
        """
        with task(_name(item)):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_generate_tests(self) -> Generator[None, object, object]:
        """Show that tests are made of cases.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_generate_tests
        """
        with task("making a test of each case"):
            return (yield)

    def pytest_runtest_logreport(self) -> None:
        """Hear that a letter or a word is written.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_runtest_logreport
        """
        self._display.touch()

    def pytest_enter_pdb(self) -> None:
        """Be still while somebody debugs.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_enter_pdb
        """
        self._display.pause()

    def pytest_leave_pdb(self) -> None:
        """Go on.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_leave_pdb
        """
        self._display.go_on()


def _name(item: pytest.Item) -> str:
    """Return a test in words, as a session calls what it tries."""
    case = getattr(getattr(item, "callspec", None), "params", {}).get("claim_case")
    return f"trying {getattr(case, 'id', item.name)}"
