"""The subcommands `cache ls`, `cache rm` and `cache verify`: what is kept of measurements."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refutable.cli import screen
from refutable.cli.completion import model_names
from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.traces.store import Stored

UNITS = {"h": 3_600, "d": 86_400, "w": 604_800}
CONVERTED = "converted"  # weights of GGUF files, as safetensors
LEAST_KEY = 6
OthersArgument = Annotated[
    list[str] | None,
    typer.Argument(help="models by name or glob, or the beginning of a trace's key", autocompletion=model_names),
]

cache = typer.Typer(
    help="The cache of measurements ($REFUTABLE_CACHE): list it, remove from it, verify it.", no_args_is_help=True
)


@cache.command()
def ls(
    which: OthersArgument = None,
    long: Annotated[bool, typer.Option("--long", "-l", help="a line for each trace, not for each model")] = False,
) -> None:
    """List what is kept: traces by model, with their sizes, and the folder's other parts."""
    from refutable.traces.store import Store, cache_folder

    folder = cache_folder()
    found = _chosen(Store(folder).stored(), which or ())
    table = screen.table()
    for name in ("key", "model", "weights", "pass", "prompts", "dtype", "measured", "size") if long else _BY_MODEL:
        table.add_column(name, no_wrap=True, justify="right" if name in ("size", "traces") else "left")
    for cells in _each(found) if long else _by_model(found):
        table.add_row(*cells)
    if found:
        screen.console().print(table)
    typer.echo(f"{_traces(found)} in {folder}")
    for name, size in () if which else other_parts(folder).items():
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
    from refutable.traces.store import Store, cache_folder

    if bool(which or older_than) == every and not (converted and not every):
        raise BadInput("name models, keys or --older-than, or write --all (not both): refutable cache rm 'pythia-*'")
    folder = cache_folder()
    store = Store(folder)
    found = _chosen(store.stored(), which or (), older_than) if which or older_than or every else []
    weights = folder / CONVERTED
    also = f" and {size_text(bytes_below(weights))} of converted weights" if converted else ""
    typer.echo(f"{_traces(found)}{also} in {folder}")
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
    from refutable.traces.store import Store, cache_folder

    store = Store(cache_folder())
    found = _chosen(store.stored(), which or ())
    damaged = [one for one in found if not store.is_whole(one.key)]
    for one in damaged:
        typer.echo(f"damaged: {one.key} ({one.meta.get('model', 'its description cannot be read')})")
    typer.echo(f"{_traces(found)} read, {len(damaged)} damaged")
    if damaged:
        names = " ".join(one.key[:12] for one in damaged[:4])
        more = " ..." if len(damaged) > 4 else ""
        typer.echo(f"A run that needs one measures it again. To remove: refutable cache rm {names}{more}")
        raise typer.Exit(1)


_BY_MODEL = ("model", "traces", "passes", "prompts", "last measured", "size")


def _by_model(found: Iterable[Stored]) -> Iterable[Sequence[str]]:
    from refutable._util.text import few

    by_model: dict[str, list[Stored]] = defaultdict(list)
    for one in found:
        by_model[str(one.meta.get("model", "?"))].append(one)
    for model, of in sorted(by_model.items()):
        told = [sorted({str(one.meta.get(key) or "-") for one in of}) for key in ("pass", "prompt_set")]
        passes, prompts = (few(names, 3) for names in told)
        size = size_text(sum(one.bytes for one in of))
        yield model, f"{len(of):,}", passes, prompts, _day(max(one.written for one in of)), size


def _each(found: Iterable[Stored]) -> Iterable[Sequence[str]]:
    for one in sorted(found, key=lambda one: (str(one.meta.get("model")), one.written)):
        told = [str(one.meta.get(key) or "-") for key in ("model", "weights_kind", "pass", "prompt_set", "dtype")]
        yield one.key[:12], *told, _day(one.written), size_text(one.bytes)


def _chosen(stored: Iterable[Stored], which: Collection[str], older_than: str | None = None) -> list[Stored]:
    """Return the traces of these models or keys, of that age.

    Raises:
        BadInput: a word agrees with none, or the age is none.
    """
    before = time.time() - _seconds(older_than) if older_than else None
    found = list(stored)
    for word in which:
        if not any(_agrees(one, word) for one in found):
            models = ", ".join(sorted({str(one.meta["model"]) for one in found if "model" in one.meta})) or "nothing"
            raise BadInput(
                f"{word}: no trace of such a model, nor a key that begins so (of {LEAST_KEY} letters or more); kept:"
                f" {models}"
            )
    return [
        one
        for one in found
        if (not which or any(_agrees(one, word) for word in which)) and (before is None or one.written < before)
    ]


def _agrees(one: Stored, word: str) -> bool:
    model = str(one.meta.get("model", ""))
    return fnmatchcase(model, word) or (len(word) >= LEAST_KEY and one.key.startswith(word))


def _seconds(age: str) -> int:
    match = re.fullmatch(r"(\d+)([hdw])", age)
    if match is None:
        raise BadInput(f"--older-than {age}: write hours, days or weeks: 12h, 30d or 8w")
    return int(match[1]) * UNITS[match[2]]


def other_parts(folder: Path) -> dict[str, int]:
    """Return the bytes of what else a cache folder holds, by the part's name: converted weights, hashes and so on."""
    parts = sorted(folder.iterdir()) if folder.is_dir() else []
    return {part.name: bytes_below(part) for part in parts if part.is_dir() and part.name not in ("traces", "locks")}


def bytes_below(folder: Path) -> int:
    """Return the bytes of a folder's files, none where there is no folder; a link counts as none."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def size_text(size: int) -> str:
    """Return bytes as text: ``1.2 GB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def _traces(found: Collection[Stored]) -> str:
    from refutable._util.text import counted

    return f"{counted(len(found), 'trace')}, {size_text(sum(one.bytes for one in found))}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
