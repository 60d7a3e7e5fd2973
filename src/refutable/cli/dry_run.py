"""The subcommand `dry-run`: would each model load? Tried without weights; only a config.json is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from refutable.cli.completion import model_names
from refutable.cli.defaults import ModelsOption, known_models
from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.models.describer import Describer
    from refutable.models.file_hashes import FileHashes
    from refutable.models.registry import ModelRegistry
    from refutable.models.row import ModelRow


def dry_run(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="models by name or glob, by path, or OWNER/NAME, as pytest --model", autocompletion=model_names
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="every model of the registry")] = False,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "float32",
    device: Annotated[
        str, typer.Option(help="what the model would run on: auto, cpu, cuda, cuda:N, cuda:all")
    ] = "auto",
    revision: Annotated[
        list[str] | None,
        typer.Option(metavar="REV", help="a branch, tag, commit or glob of the named models (repeat it)"),
    ] = None,
    offline: Annotated[
        bool, typer.Option(help="never ask the hub: for the config.json of OWNER/NAME or of a revision")
    ] = False,
    models: ModelsOption = None,
) -> None:
    """Build models without weights and look for every module and number that a first run would need; exit 1 on a fault.

    Reports of each: class, parameters, dtype and memory against the device's, how it would be spread, and tokenizer.
    """
    from refutable._util.extras import require_measure
    from refutable._util.progress import task
    from refutable.evidence.describer import describer
    from refutable.models.device import choose_device
    from refutable.models.file_hashes import FileHashes
    from refutable.models.revision_names import is_glob
    from refutable.models.selection import DTYPES
    from refutable.models.weights import Finder
    from refutable.traces.store import cache_folder

    if dtype not in DTYPES:
        raise BadInput(f"--dtype {dtype}: unknown dtype; known: {', '.join(DTYPES)}.")
    hashes = FileHashes(cache_folder())
    first = next((one for one in revision or () if not is_glob(one)), None)
    rows = _rows(names or [], every, known_models(models), partial(describer, hashes, offline=offline, revision=first))
    if revision and every:
        raise BadInput(f"--revision {revision[0]}: a revision belongs to a model; name it, instead of --all")
    finder = Finder(hashes, choose_device(device), offline=True, cpu_asked=device == "cpu")
    require_measure()
    from refutable.measurement.loading.dry_run import DryRun, try_dry

    count = faulty = 0
    tried = _at_revisions(rows, revision, hashes, offline) if revision else ((row, "") for row in rows)
    for row, fault in tried:
        found = DryRun((fault,), ("not built",))
        if not fault:
            with task(f"{row.name}: building it without weights"):
                found = try_dry(row, dtype, finder)
        faults, notes = found.faults, found.notes
        count, faulty = count + 1, faulty + bool(faults)
        typer.echo(f"{row.name}: {'; '.join(faults) if faults else 'ready'} ({', '.join(notes)})")
    typer.echo(f"{count} {'models at revisions' if revision else 'models'}, {faulty} with a fault")
    raise typer.Exit(1 if faulty else 0)


def _rows(
    names: list[str], every: bool, registry: ModelRegistry, describing: Callable[[], Describer]
) -> list[ModelRow]:
    from refutable.models.own import with_own

    if bool(names) == every:
        raise BadInput("name models, or write --all (not both): refutable dry-run gptj 'pythia-*'")
    registry, asked = with_own(registry, names, describing)
    found = [row for name in asked for row in registry.matching(name)] if names else list(registry)
    return [*{row.name: row for row in found}.values()]


def _at_revisions(
    rows: Sequence[ModelRow], asked: Sequence[str], hashes: FileHashes, offline: bool
) -> Iterator[tuple[ModelRow, str]]:
    """Yield the row of each revision, with that revision's configuration, and why it cannot be had: empty if it can.

    Raises:
        BadInput: a revision that none of the models has.
    """
    from refutable.errors import NotMeasured
    from refutable.models.repository import read_repository
    from refutable.models.revisions import Revisions
    from refutable.models.same_model import check_same

    names = frozenset(row.name for row in rows)
    expands = Revisions(tuple(dict.fromkeys(asked)), names, offline=offline, at_hand=True)
    usable = [row for row in rows if not row.unusable]
    if usable:
        expands.check_asked(usable)
    for row in rows:
        if row.unusable or row.no_revisions:
            yield row, row.unusable or row.no_revisions
            continue
        for revision in expands.of_run(row):
            at = row.at_revision(revision)
            try:
                config = read_repository(str(row.hub), revision, hashes, offline=offline).config
                if config["model_type"] != row.family:
                    raise BadInput(f"its config.json is of family {config['model_type']!r}, the row of {row.family!r}")
                check_same(row, config, "config.json")
            except (BadInput, NotMeasured) as error:
                yield at, str(error)
            else:
                yield at.model_copy(update={"config": {**row.config, **config}}), ""
