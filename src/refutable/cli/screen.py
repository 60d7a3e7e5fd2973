"""Width and colour of the output, fixed when it is piped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPED_WIDTH = 180


def colour() -> bool:
    """Whether the output goes to a terminal."""
    return sys.stdout.isatty()


def console() -> Console:
    """Return a console that shows text as it is."""
    from rich.console import Console

    return Console(width=None if colour() else PIPED_WIDTH, markup=False, highlight=False)


def table() -> Table:
    """Return a table without lines."""
    from rich.table import Table

    return Table(box=None, pad_edge=False)


def show_markdown(text: str) -> None:
    """Print Markdown: laid out on a terminal, as it is where the output is piped."""
    if not colour():
        print(text, end="")
        return
    from rich.markdown import Markdown

    console().print(Markdown(text))
