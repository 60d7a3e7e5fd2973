"""Shows what a run is doing: one line that is written over on a terminal, and a line every few seconds elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from refutable._util.progress import Task, active, listening
from refutable._util.progress_line import memory_held, progress_line

PATIENCE = 1.0  # seconds before a terminal shows what is being done
SILENCE = 8.0  # seconds without a word, after which a line is written where lines stay
HEAD_START = 3.0  # seconds that have passed in silence before anything can be shown
TICK = 0.5
_WIDEST = 160


class Display:
    """Listens to tasks, and shows the innermost one from a thread of its own.

    Args:
        write: writes text, at once.
        live: whether one line is written over and taken away at the end, on a terminal.
        column: returns how many columns of the current line are taken by somebody else's text.
        broke: called after a line break was written behind such text.
        prefix: of every line that stays.
        clock: returns seconds, as `time.monotonic` does.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        live: bool,
        column: Callable[[], int] = lambda: 0,
        broke: Callable[[], None] = lambda: None,
        prefix: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._live, self._column, self._broke = write, live, column, broke
        self._prefix, self._clock = prefix, clock
        self._lock = threading.RLock()
        self._heard = clock() - HEAD_START
        self._drawn = self._paused = False
        self._closed = threading.Event()

    def began(self, task: Task) -> None:
        """Hear that a task began; it is shown once it has taken a while."""

    def ended(self, task: Task) -> None:
        """Take the line away with the outermost task: others will write there."""
        if not active():
            with self._lock:
                self._erase()

    def said(self, text: str) -> None:
        """Write a line that stays."""
        with self._lock:
            self._stay(text)

    def touch(self) -> None:
        """Hear that somebody else wrote something."""
        self._heard = self._clock()

    def pause(self) -> None:
        """Show nothing until `go_on`."""
        with self._lock:
            self._erase()
            self._paused = True

    def go_on(self) -> None:
        """Show again what is being done."""
        self._paused = False

    def tick(self) -> None:
        """Show what is being done, if it is time to."""
        with self._lock:
            tasks, now = active(), self._clock()
            if not tasks or self._paused:
                return
            if not self._live:
                if now - self._heard >= SILENCE:
                    self._stay(progress_line(tasks, now, memory_held(), _WIDEST))
            elif now - tasks[0].started >= PATIENCE:
                self._draw(progress_line(tasks, now, memory_held(), shutil.get_terminal_size().columns - 1))

    def _stay(self, text: str) -> None:
        self._erase()
        if self._column():
            self._write("\n")
            self._broke()
        self._write(f"{self._prefix}{text}\n")
        self.touch()

    def _draw(self, line: str) -> None:
        """Write the line below the current one, and go back to where the cursor was."""
        column = self._column()
        self._write(f"\n\r\x1b[2m{line}\x1b[0m\x1b[K\x1b[A\r" + (f"\x1b[{column}C" if column else ""))
        self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            column = self._column()
            self._write("\n\r\x1b[K\x1b[A\r" + (f"\x1b[{column}C" if column else ""))
            self._drawn = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Listen, and show meanwhile what is being done."""
        thread = threading.Thread(target=self._run, name="refutable-progress", daemon=True)
        with listening(self):
            thread.start()
            try:
                yield
            finally:
                self._closed.set()
                thread.join(timeout=5)
                with self._lock:
                    self._erase()

    def _run(self) -> None:
        while not self._closed.wait(TICK):
            try:
                self.tick()
            except (OSError, ValueError):  # nobody reads any more, or the stream was closed
                return


@contextmanager
def showing(stream: TextIO | None = None) -> Iterator[None]:
    """Show what is being done on a stream, by default standard error, as the `refutable` command does."""
    shown = sys.stderr if stream is None else stream

    def write(text: str) -> None:
        shown.write(text)
        shown.flush()

    with Display(write, live=is_live(shown)).running():
        yield


def is_live(stream: TextIO) -> bool:
    """Whether a line can be written over: on a terminal that a person looks at."""
    try:
        terminal = stream.isatty()
    except ValueError:  # closed
        return False
    return terminal and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")
