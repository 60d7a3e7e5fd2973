"""The ``refutable`` command: what is done beside a run of pytest."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refutable.cli.dry_run import dry_run
from refutable.cli.extensions import load_extensions
from refutable.cli.lock import lock
from refutable.errors import BadInput, RefutableError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Scientific claims about transformers, on trial.")
app.callback()(load_extensions)
app.command()(lock)
app.command("dry-run")(dry_run)

PIPED_WIDTH = 180
Models = Annotated[
    Path | None,
    typer.Option(help="registry rows that add to or override the packaged ones; by default the ini file's"),
]
ClaimsFile = Annotated[Path, typer.Argument(help="claims file")]
Verdicts = Annotated[Path, typer.Option(help="verdicts.json of a run")]


@contextmanager
def _clean_errors(status: int = 4) -> Iterator[None]:
    """Show what a user can mend as one message, without a traceback, and exit with this status."""
    try:
        yield
    except RefutableError as error:
        typer.echo(f"ERROR: {error}", err=True)
        raise typer.Exit(status) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        typer.echo(f"ERROR: {where}cannot be used ({error.strerror}); check the path and its permissions", err=True)
        raise typer.Exit(status) from None


def _screen() -> dict[str, Any]:
    """Return the width and whether colours are shown; where the output is piped both are always the same."""
    from rich.console import Console

    shown = sys.stdout.isatty()
    return {"width": Console().width if shown else PIPED_WIDTH, "colour": shown}


def _console() -> Console:
    from rich.console import Console

    return Console(width=_screen()["width"])


@app.command()
def check(
    claims: Annotated[
        Path | None, typer.Argument(help="claims file; by default the ini file's, else claims.yaml")
    ] = None,
    models: Models = None,
    prompts: Annotated[
        str | None, typer.Option(help="prompts in place of the claims' own, as pytest's --prompts")
    ] = None,
) -> None:
    """Check a claims file, and say which verdicts its prompts can never bring; no model is loaded."""
    from refutable._util.pytest_ini import ini_path
    from refutable.verdicts.falsifiability.feasibility import check_feasible

    with _clean_errors():
        file = claims or ini_path("refutable_claims") or Path("claims.yaml")
        for line in check_feasible(file, models or ini_path("refutable_models"), prompts):
            typer.echo(line)


@app.command()
def prompts(
    name: Annotated[str | None, typer.Argument(help="a packaged set, or a file: print its texts")] = None,
) -> None:
    """List the packaged prompt sets, or print the texts of one, one a line."""
    from rich.table import Table

    from refutable.prompts.find import given_prompts, known_sets

    with _clean_errors():
        if name is not None:
            for prompt in given_prompts(name).prompts:
                typer.echo(prompt.text)
            return
        table = Table(box=None, pad_edge=False)
        for column in ("prompt set", "n", "categories", "SHA-256", "source"):
            table.add_column(column, overflow="fold", no_wrap=column in ("prompt set", "n", "SHA-256"))
        for one in known_sets():
            counts = ", ".join(f"{count} {category}" for category, count in one.counts.items())
            table.add_row(one.name, str(len(one)), counts, one.hash, one.source)
        _console().print(table)


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="verdicts.json of one run")],
    b: Annotated[Path, typer.Argument(help="verdicts.json of another")],
    as_json: Annotated[bool, typer.Option("--json", help="write JSON")] = False,
) -> None:
    """Say which verdicts differ and which estimates moved: exit 0 when none, 1 when some, 2 when a file is no run.

    What else differs beside a verdict (labels, controls, variations) is told and changes no exit status.
    """
    from refutable.reports import diff as differ
    from refutable.reports.formats.verdicts_json import read_verdicts

    with _clean_errors(status=2):
        before, after = read_verdicts(a), read_verdicts(b)
        changes = differ.differences(before, after)
        if as_json:
            typer.echo(
                json.dumps(differ.as_json(before, after, changes), indent=1, ensure_ascii=False, allow_nan=False)
            )
        else:
            typer.echo(differ.as_text(changes, **_screen()), nl=False)
    raise typer.Exit(0 if differ.same(changes) else 1)


@app.command()
def report(
    journal: Annotated[
        Path, typer.Argument(help="journal of a run; or its folder, or the verdicts.json that is left of it")
    ] = Path("reports/journal.jsonl"),
    out: Annotated[Path | None, typer.Option(help="folder to write to; the journal's own by default")] = None,
) -> None:
    """Rebuild every report from a run's journal, also after a kill -9."""
    from refutable._util.text import counted
    from refutable.reports.formats import write_reports
    from refutable.reports.formats.verdicts_json import read_run
    from refutable.traces.store import Store, cache_folder

    with _clean_errors():
        run, file = read_run(journal)
        if out is None and file.suffix == ".json":
            raise BadInput(f"{file}: no journal, so its folder is left alone; write its reports elsewhere: --out DIR")
        write_reports(run, Store(cache_folder()), out or file.parent)
        ended = "complete" if run.complete else "cut short, and never came to its end"
        told = f"{counted(len(run.rows), 'verdict')} and {counted(len(run.checks), 'check')}"
        typer.echo(f"{told} rebuilt; the run is {ended}")


@app.command()
def models(models: Models = None) -> None:
    """List every model of the registry."""
    from rich.table import Table

    from refutable._util.pytest_ini import ini_path
    from refutable.models.registry import load_registry

    with _clean_errors():
        table = Table(box=None, pad_edge=False)
        for name in (
            "model",
            "hub",
            "family",
            "parameters",
            "layers",
            "heads",
            "d_model",
            "wiring",
            "norm",
            "licence",
            "gated",
        ):
            table.add_column(name)
        for row in load_registry(models or ini_path("refutable_models")):
            facts = (str(row.fact(name)) for name in ("layers", "heads", "d_model", "wiring", "norm"))
            gated = "gated" if row.gated else ""
            table.add_row(row.name, row.hub or "-", row.family, f"{row.parameters:,}", *facts, row.licence, gated)
        _console().print(table)


@app.command()
def schema(kind: Annotated[str, typer.Argument(help="claims or verdicts")] = "claims") -> None:
    """Print the JSON Schema of claims files or of verdicts.json."""
    from refutable.claims.file import json_schema
    from refutable.reports.formats.verdicts_schema import verdicts_schema

    with _clean_errors():
        schemas = {"claims": json_schema, "verdicts": verdicts_schema}
        if kind not in schemas:
            raise BadInput(f"no schema {kind!r}; known: {', '.join(schemas)}.")
        typer.echo(json.dumps(schemas[kind](), indent=2))


@app.command()
def draw(
    model: Annotated[str, typer.Argument(help="name of a registry row")],
    out: Annotated[Path, typer.Option(help="folder to write safetensors and config.json to")],
    seed: int = 0,
    dtype: str = "float32",
    device: str = "auto",
    models: Models = None,
) -> None:
    """Draw a model's weights at its true shape and save them; read them back with ``--weights OUT``."""
    from refutable._util.pytest_ini import ini_path
    from refutable.models.device import choose_device
    from refutable.models.registry import load_registry
    from refutable.models.selection import DTYPES
    from refutable.models.subject import Subject

    with _clean_errors():
        row = load_registry(models or ini_path("refutable_models"))[model]
        if dtype not in DTYPES:
            raise BadInput(f"--dtype {dtype}: unknown dtype; known: {', '.join(DTYPES)}.")
        if out.exists() and any(out.iterdir()):
            raise BadInput(f"--out {out}: not empty; name a new folder")
        subject = Subject(row.name, weights="init", dtype=dtype, device=choose_device(device).name, seed=seed)
        from refutable.measure.loading.load import draw as draw_weights

        draw_weights(row.config, subject, rule=row.init).save_pretrained(out)
        typer.echo(
            f"{row.name}: weights freshly drawn by the {row.init} rule, seed {seed}, {dtype}."
            f" Read them: pytest --model {row.name} --weights {out}"
        )


@app.command()
def catalogue(
    claims: ClaimsFile = Path("claims.yaml"),
    ids: Annotated[
        Path | None,
        typer.Option(help="the catalogue: one `id kind` or `id kind same-as` a line; by default the ini file's"),
    ] = None,
    verdicts: Verdicts = Path("reports/published/verdicts.json"),
) -> None:
    """Show every sentence of a catalogue with its kind, the claims that try it, and how each stands."""
    from rich.console import Console
    from rich.table import Table

    from refutable._util.pytest_ini import ini_path
    from refutable._util.text import counted
    from refutable.claims.file import load_claims
    from refutable.reports.catalogue import catalogue_lines, read_catalogue
    from refutable.reports.formats.verdicts_json import read_verdicts

    with _clean_errors():
        loaded = load_claims(claims)
        ids = ids or ini_path("refutable_catalogue")
        if ids is None:
            raise BadInput("no catalogue: name one with --ids FILE, or set refutable_catalogue in the ini file")
        lines = catalogue_lines(read_catalogue(ids), loaded, read_verdicts(verdicts).rows)
        table = Table(box=None, pad_edge=False)
        for name in ("sentence", "kind", "claims, and how they stand"):
            table.add_column(name, no_wrap=name != "claims, and how they stand", overflow="fold")
        for line in lines:
            told = "\n".join(f"{claim}: {state}" for claim, state in line.claims.items())
            table.add_row(line.id, line.kind, told or "no claim")
        Console(width=None if sys.stdout.isatty() else 180, markup=False, highlight=False).print(table)
        tried = sum(bool(line.claims) for line in lines)
        typer.echo(f"{counted(len(lines), 'distinct sentence')}, {tried} of them on trial")


@app.command()
def page(
    claims: ClaimsFile = Path("claims.yaml"),
    verdicts: Verdicts = Path("reports/published/verdicts.json"),
    out: Annotated[
        Path | None, typer.Option(help="the page to write; by default the ini file's, else reports/verdicts.md")
    ] = None,
) -> None:
    """Write the page of verdicts: every claim in its document's order, with what became of it."""
    from refutable._util.pytest_ini import ini_path
    from refutable.reports.publish import write_page

    with _clean_errors():
        out = out or ini_path("refutable_page") or Path("reports/verdicts.md")
        write_page(claims, verdicts, out)
        typer.echo(f"wrote {out}")


@app.command()
def publish(
    run: Annotated[Path, typer.Argument(help="verdicts.json of a run")] = Path("reports/verdicts.json"),
    to: Annotated[Path, typer.Option(help="the published file")] = Path("reports/published/verdicts.json"),
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    fewer: Annotated[
        bool, typer.Option("--fewer", help="published verdicts that were not measured again may go")
    ] = False,
    claims: Annotated[Path, typer.Option(help="claims file, for the page")] = Path("claims.yaml"),
    page: Annotated[
        Path | None, typer.Option(help="page of verdicts, by default the ini file's; written anew where there is one")
    ] = None,
) -> None:
    """Publish a run's verdicts, after showing what changes; the only way the published file is rewritten."""
    from refutable._util.pytest_ini import ini_path
    from refutable.reports.diff import as_text
    from refutable.reports.publish import changes, publish_run, write_page

    with _clean_errors():
        to = to / "verdicts.json" if to.is_dir() else to
        found = changes(run, to)
        typer.echo("nothing is published yet\n" if found is None else as_text(found, **_screen(), most=40), nl=False)
        if not yes and not typer.confirm(f"write {to}?"):
            raise typer.Exit(1)
        publish_run(run, to, fewer=fewer)
        typer.echo(f"published: {to}")
        page = page or ini_path("refutable_page")
        if page is not None and page.is_file():
            write_page(claims, to, page)
            typer.echo(f"wrote {page}")


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="a new or existing folder")] = Path()) -> None:
    """Start a suite of your own: a claims file with one claim, and the ini file that switches refutable on."""
    from refutable.cli.init import write_starter

    with _clean_errors():
        for line in write_starter(folder):
            typer.echo(line)
