"""Progress in words: one line that says what is being done, how far it is, how fast, and how long it will take."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from refutable._util.progress import BYTES, Task

_SURE = 1.0  # seconds and share from which on the time that is left can be said
_SOME = 0.02
_NAMED, _LEAST = 30, 8  # columns: what a name keeps if it is longer, and in any width


def progress_line(tasks: Sequence[Task], now: float, memory: str, width: int) -> str:
    """Return what is being done in at most `width` columns: the innermost task, and what it is for if there is room.

    Args:
        tasks: at least one, the outermost first.
        now: on `time.monotonic`.
        memory: what this process holds, in words; left out where there is no room.
        width: columns.
    """
    inner = tasks[-1]
    names = [*dict.fromkeys(task.name for task in tasks if task.name)]
    named = next((task for task in reversed(tasks) if task.name), inner)
    told = _told(inner, now, named)
    name = names[-1] if names else ""
    while len(told) > 1 and width - len(", ".join(told)) - 2 < min(len(name), _NAMED):
        told.pop()  # how long it takes is the first to go, how far it is the last
    room = width - len(", ".join(told)) - 2
    if len(name) > room:  # a name is cut, not the numbers behind it: these are what changes
        name = f"{name[: max(room, _LEAST) - 3].rstrip()}..."
    line = f"{name}: {', '.join(told)}" if name else ", ".join(told)
    for more in (f", {memory}" if memory else "", f" [{names[-2]}]" if len(names) > 1 else ""):
        if len(line) + len(more) <= width:
            line += more
    return line if len(line) <= width else f"{line[: width - 3].rstrip()}..."


def _told(task: Task, now: float, named: Task) -> list[str]:
    seconds = now - task.started
    told = []
    if task.unit == BYTES:
        told.append(f"{_size(task.done)} of {_size(task.total)}" if task.total else _size(task.done))
        if task.done and seconds > _SURE:
            told.append(f"{_size(task.done / seconds)}/s")
    elif task.total:
        told.append(f"{task.done:g} of {task.total:g} {task.unit}".rstrip())
    fraction = task.fraction
    if fraction is not None and fraction >= _SOME and seconds > _SURE:
        told.append(f"{duration(seconds * (1 - fraction) / fraction)} left")
    else:
        told.append(duration(now - named.started))
    return told


def duration(seconds: float) -> str:
    """Return a time in words: ``7 s``, ``2 min 05 s``, ``1 h 03 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _size(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def memory_held() -> str:
    """Return how much memory this process holds, of the GPU's if it uses one, in words; empty where nobody says."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)  # None too while torch is still being imported
    if cuda is not None and hasattr(cuda, "is_initialized") and cuda.is_initialized():
        return f"{cuda.memory_allocated() / 1e9:.1f} GB of GPU memory"
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return ""
    return f"{pages * os.sysconf('SC_PAGE_SIZE') / 1e9:.1f} GB of memory"
