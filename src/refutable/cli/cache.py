"""The subcommands of `cache`: what is kept of measurements is listed, removed, verified, and copied between stores."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refutable.cli import screen
from refutable.cli.completion import model_names
from refutable.cli.kept_traces import BY_MODEL, by_model, bytes_below, chosen, each, other_parts, size_text, traces_text
from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.traces.store import Store

CONVERTED = "converted"  # weights of GGUF files, as safetensors
OthersArgument = Annotated[
    list[str] | None,
    typer.Argument(help="models by name or glob, or the beginning of a trace's key", autocompletion=model_names),
]

StoreArgument = Annotated[
    str, typer.Argument(metavar="STORE", help="a folder, or a URL such as s3://BUCKET/PREFIX", show_default=False)
]

cache = typer.Typer(
    help="The store of measurements ($REFUTABLE_CACHE): list it, remove from it, verify it, copy from and to another.",
    no_args_is_help=True,
)


@cache.command()
def ls(
    which: OthersArgument = None,
    long: Annotated[bool, typer.Option("--long", "-l", help="a line for each trace, not for each model")] = False,
) -> None:
    """List what is kept: traces by model, with their sizes, and what else this machine keeps."""
    from refutable.traces.store import open_store

    store = open_store()
    found = chosen(store.stored(), which or ())
    table = screen.table()
    for name in ("key", "model", "weights", "pass", "prompts", "dtype", "measured", "size") if long else BY_MODEL:
        table.add_column(name, no_wrap=True, justify="right" if name in ("size", "traces") else "left")
    for cells in each(found) if long else by_model(found):
        table.add_row(*cells)
    if found:
        screen.console().print(table)
    typer.echo(f"{traces_text(found)} in {store}")
    parts = {} if which else other_parts(store.folder)
    if parts and str(store.folder) != str(store):
        typer.echo(f"on this machine, in {store.folder}:")
    for name, size in parts.items():
        typer.echo(f"{name}: {size_text(size)}")


@cache.command()
def rm(
    which: OthersArgument = None,
    older_than: Annotated[str | None, typer.Option(help="only what was measured so long ago: 12h, 30d or 8w")] = None,
    every: Annotated[bool, typer.Option("--all", help="every trace")] = False,
    converted: Annotated[bool, typer.Option("--converted", help="also the converted weights of GGUF files")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Remove traces; a run that needs one measures it again. Shows what would go, and asks."""
    from refutable.traces.store import open_store

    if bool(which or older_than) == every and not (converted and not every):
        raise BadInput("name models, keys or --older-than, or write --all (not both): refutable cache rm 'pythia-*'")
    store = open_store()
    asked = which or older_than or every
    found = chosen(store.stored(described=bool(which)), which or (), older_than) if asked else []
    weights = store.folder / CONVERTED
    here = "" if str(store.folder) == str(store) else f" in {store.folder}"
    also = f" and {size_text(bytes_below(weights))} of converted weights{here}" if converted else ""
    typer.echo(f"{traces_text(found)} in {store}{also}" if here else f"{traces_text(found)}{also} in {store}")
    if not found and not converted:
        return
    if not yes and not typer.confirm("remove?"):
        raise typer.Exit(1)
    for one in found:
        store.remove(one.key)
    if converted and weights.is_dir():
        import shutil

        shutil.rmtree(weights)
    typer.echo("removed")


@cache.command()
def verify(which: OthersArgument = None) -> None:
    """Hash every trace anew and compare it with its seal; exit 1 if one is not as it was written."""
    from refutable.traces.copying import damaged as not_whole
    from refutable.traces.store import open_store

    store = open_store()
    found = chosen(store.stored(), which or ())
    keys = set(not_whole(store, [one.key for one in found]))
    damaged = [one for one in found if one.key in keys]
    for one in damaged:
        typer.echo(f"damaged: {one.key} ({one.meta.get('model', 'its description cannot be read')})")
    typer.echo(f"{traces_text(found)} read, {len(damaged)} damaged")
    if damaged:
        names = " ".join(one.key[:12] for one in damaged[:4])
        more = " ..." if len(damaged) > 4 else ""
        typer.echo(f"A run that needs one measures it again. To remove: refutable cache rm {names}{more}")
        raise typer.Exit(1)


@cache.command()
def push(to: StoreArgument, which: OthersArgument = None) -> None:
    """Copy traces to another store; those that are there whole are skipped. Exit 1 if one here is damaged."""
    from refutable.traces.store import open_store

    _copy(open_store(), open_store(to), which or ())


@cache.command()
def pull(source: StoreArgument, which: OthersArgument = None) -> None:
    """Copy traces from another store; those that are here whole are skipped. Exit 1 if one there is damaged."""
    from refutable.traces.store import open_store

    there = open_store(source)
    if isinstance(there.place, Path) and not there.place.is_dir():
        raise BadInput(f"{there}: there is no store there; name a folder, or a URL such as s3://BUCKET/PREFIX")
    _copy(there, open_store(), which or ())


def _copy(source: Store, to: Store, which: Collection[str]) -> None:
    from refutable._util.text import counted
    from refutable.traces.copying import copy

    if str(source) == str(to):
        raise BadInput(f"{source}: that is this store ($REFUTABLE_CACHE); name another")
    done = copy(source, to, [one.key for one in chosen(source.stored(described=bool(which)), which)])
    for key in done.damaged:
        typer.echo(f"damaged: {key} in {source}")
    typer.echo(
        f"{counted(len(done.copied), 'trace')} copied to {to} ({size_text(done.bytes)}),"
        f" {len(done.skipped)} skipped, {len(done.damaged)} damaged"
    )
    if done.damaged:
        raise typer.Exit(1)
