"""Text laid out for a width: consoles that keep it, tables without lines, and lines that hang."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text


def memory_console(width: int, colour: bool) -> Console:
    """Return a console that shows text as it is, to be captured."""
    file = io.StringIO()
    return Console(file=file, width=width, force_terminal=colour, no_color=not colour, highlight=False, markup=False)


def plain_table() -> Table:
    """Return a table without lines."""
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)


def hanging(text: Text | str, width: int, *, first: int = 0, rest: int = 2) -> list[Text]:
    """Return a text as lines of at most `width` columns; a word that is longer has a line of its own, uncut.

    Args:
        text: one paragraph.
        width: columns.
        first: by how many the first line is indented.
        rest: and the others.
    """
    lines: list[Text] = []
    line, begun = Text(" " * first), False
    for word in (Text(text) if isinstance(text, str) else text).split(" "):
        if begun and line.cell_len + 1 + word.cell_len > width:
            lines.append(line)
            line, begun = Text(" " * rest), False
        if begun:
            line.append(" ")
        line.append_text(word)
        begun = True
    return [*lines, line]


def as_text(lines: list[Text], *, colour: bool) -> str:
    """Return lines that are laid out already, each with its line break."""
    console = memory_console(10_000, colour)
    with console.capture() as shown:
        for line in lines:
            console.print(line, soft_wrap=True)
    return shown.get()
