"""The subcommands `metrics`, `statistics` and `passes`: what claims can name, as docs/reference/ has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refutable.cli import screen
from refutable.cli.completion import names_of
from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.reports.reference import Kind

MarkdownOption = Annotated[bool, typer.Option("--markdown", help="the whole page of the documentation, as Markdown")]


def metrics(
    name: Annotated[str | None, typer.Argument(help="a metric", autocompletion=names_of("metrics"))] = None,
    markdown: MarkdownOption = False,
) -> None:
    """List the metrics, or explain one: range, unit, the pass it reads, what moves it, and an example claim."""
    _explain("metrics", name, markdown)


def statistics(
    name: Annotated[str | None, typer.Argument(help="a statistic", autocompletion=names_of("statistics"))] = None,
    markdown: MarkdownOption = False,
) -> None:
    """List the statistics, or explain one: what it takes, when its error rates hold, and an example claim."""
    _explain("statistics", name, markdown)


def passes(
    name: Annotated[str | None, typer.Argument(help="a pass", autocompletion=names_of("passes"))] = None,
    markdown: MarkdownOption = False,
) -> None:
    """List the passes over a model, or explain one: its metrics, its tokens, and an example claim."""
    _explain("passes", name, markdown)


def _explain(kind: Kind, name: str | None, markdown: bool) -> None:
    from refutable.reports.reference import entries, entry, reference_page

    if markdown and name is not None:
        raise BadInput(f"--markdown is the whole page; leave {name!r} out, or the option")
    if markdown:
        typer.echo(reference_page(kind), nl=False)
    elif name is not None:
        screen.show_markdown(entry(kind, name).markdown)
    else:
        table = screen.table()
        table.add_column(kind, no_wrap=True)
        table.add_column("what it is", overflow="fold")
        for each in entries(kind):
            table.add_row(each.name, each.summary)
        screen.console().print(table)
        typer.echo(f"More of one: refutable {kind} NAME")
