"""The subcommands `publish`, `page` and `catalogue`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refutable._util.pytest_ini import ini_path
from refutable.cli import screen
from refutable.cli.defaults import (
    ClaimsArgument,
    ModelsOption,
    VerdictsOption,
    claims_file,
    models_file,
    published_file,
    reports_folder,
)
from refutable.errors import BadInput


def publish(
    run: Annotated[
        Path | None, typer.Argument(help="verdicts.json of a run; by default the one among the reports")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="the published file; by default the ini file's (refutable_published)")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    fewer: Annotated[
        bool, typer.Option("--fewer", help="allow published verdicts to go that were not measured again")
    ] = False,
    claims: Annotated[
        Path | None, typer.Option(help="claims file, for the page; by default the ini file's, else claims.yaml")
    ] = None,
    models: ModelsOption = None,
    page: Annotated[
        Path | None,
        typer.Option(help="index of verdicts, by default the ini file's; rewritten with its pages if it exists"),
    ] = None,
) -> None:
    """Publish a run's verdicts, after showing what changes; nothing else rewrites the published file."""
    from refutable.reports.diff import as_text
    from refutable.reports.publish import changes, publish_run, write_verdict_pages

    run, to = run or reports_folder() / "verdicts.json", published_file(to, "--to")
    found = changes(run, to)
    if found is None:
        typer.echo("nothing is published yet")
    else:
        typer.echo(as_text(found, width=screen.console().width, colour=screen.colour(), most=40), nl=False)
    if not yes and not typer.confirm(f"write {to}?"):
        raise typer.Exit(1)
    publish_run(run, to, fewer=fewer)
    typer.echo(f"published: {to}")
    page = page or ini_path("refutable_page")
    if page is not None and page.is_file():
        on_tables = ini_path("refutable_on_tables")
        is_of_tables = on_tables is not None and to.absolute() == on_tables.absolute()
        measured = published_file(None) if is_of_tables else to
        write_verdict_pages(claims_file(claims), measured, page, models_file(models), on_tables)
        typer.echo(f"wrote {page}")


def page(
    claims: ClaimsArgument = None,
    verdicts: VerdictsOption = None,
    out: Annotated[
        Path | None, typer.Option(help="the index to write; by default the ini file's (refutable_page)")
    ] = None,
    models: ModelsOption = None,
) -> None:
    """Write the verdicts as Markdown: an index, and beside it a folder with a page for each section of a document."""
    from refutable.reports.publish import write_verdict_pages

    out = out or ini_path("refutable_page")
    if out is None:
        raise BadInput("no page: name one with --out FILE, or set refutable_page in the ini file")
    write_verdict_pages(
        claims_file(claims), published_file(verdicts), out, models_file(models), ini_path("refutable_on_tables")
    )
    typer.echo(f"wrote {out}")


def catalogue(
    claims: ClaimsArgument = None,
    ids: Annotated[
        Path | None,
        typer.Option(help="the catalogue: one `id kind` or `id kind same-as` per line; by default the ini file's"),
    ] = None,
    verdicts: VerdictsOption = None,
) -> None:
    """Show every sentence of a catalogue: its verdict, the claims that try it, how far each decides it and stands."""
    from refutable._util.text import counted
    from refutable.claims.file import load_claims
    from refutable.reports.catalogue import catalogue_lines, read_catalogue
    from refutable.reports.formats.verdicts_json import read_verdicts

    loaded = load_claims(claims_file(claims))
    ids = ids or ini_path("refutable_catalogue")
    if ids is None:
        raise BadInput("no catalogue: name one with --ids FILE, or set refutable_catalogue in the ini file")
    lines = catalogue_lines(read_catalogue(ids), loaded, read_verdicts(published_file(verdicts)).rows)
    table = screen.table()
    for name in ("sentence", "kind", "its verdict", "claims: what each decides, and how it stands"):
        table.add_column(name, no_wrap=name in ("sentence", "kind"), overflow="fold")
    for line in lines:
        trials = "\n".join(f"{one.claim}: {one.decides}, {one.state}" for one in line.trials)
        kind = line.kind if line.same_as is None else f"repeats {line.same_as}"
        table.add_row(line.id, kind, line.verdict, trials or "no claim")
    screen.console().print(table)
    distinct = [line for line in lines if line.same_as is None]
    tried = sum(bool(line.trials) for line in distinct)
    whole = sum(any(one.decides == "sentence" for one in line.trials) for line in distinct)
    typer.echo(
        f"{counted(len(distinct), 'distinct sentence')}, {tried} of them on trial, {whole} by a claim that decides all"
        " that it says"
    )
