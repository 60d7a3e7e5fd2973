"""The subcommand `dry-run`: would each model load? Tried without weights; only a config.json is fetched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from refutable.cli.completion import model_names
from refutable.cli.defaults import ModelsOption, known_models
from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.models.describer import Describer
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
    offline: Annotated[bool, typer.Option(help="never ask the hub: for the config.json of OWNER/NAME")] = False,
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
    from refutable.models.selection import DTYPES
    from refutable.models.weights import Finder
    from refutable.traces.store import cache_folder

    if dtype not in DTYPES:
        raise BadInput(f"--dtype {dtype}: unknown dtype; known: {', '.join(DTYPES)}.")
    hashes = FileHashes(cache_folder())
    rows = _rows(names or [], every, known_models(models), partial(describer, hashes, offline=offline))
    finder = Finder(hashes, choose_device(device), offline=True, cpu_asked=device == "cpu")
    require_measure()
    from refutable.measurement.loading.dry_run import try_dry

    faulty = 0
    for row in rows:
        with task(f"{row.name}: building it without weights"):
            found = try_dry(row, dtype, finder)
        faulty += bool(found.faults)
        typer.echo(f"{row.name}: {'; '.join(found.faults) if found.faults else 'ready'} ({', '.join(found.notes)})")
    typer.echo(f"{len(rows)} models, {faulty} with a fault")
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
