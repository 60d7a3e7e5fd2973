"""The subcommands `models`, `prompts` and `draw`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from refutable._util.text import few
from refutable.cli import screen
from refutable.cli.completion import model_names, prompt_sets
from refutable.cli.defaults import ModelsOption, known_models, models_file
from refutable.errors import BadInput

FACTS = ("layers", "heads", "d_model", "wiring", "norm")


models = typer.Typer(help="The registry of models: list it, or add a model to it.", invoke_without_command=True)


@models.callback()
def listed(ctx: typer.Context, models: ModelsOption = None) -> None:
    """List every model of the registry."""
    if ctx.invoked_subcommand is not None:
        return
    table = screen.table()
    for name in ("model", "hub", "family", "parameters", *FACTS, "licence", "gated"):
        table.add_column(name)
    for row in known_models(models):
        facts = (str(row.fact(name)) for name in FACTS) if not row.unusable else ("-" for _ in FACTS)
        gated = "gated" if row.gated else ""
        table.add_row(row.name, row.hub or "-", row.family, f"{row.parameters:,}", *facts, row.licence, gated)
    screen.console().print(table)


@models.command()
def add(
    model: Annotated[str, typer.Argument(help="a folder, a GGUF file, or OWNER/NAME of a repository on the hub")],
    name: Annotated[str | None, typer.Option(help="what to call it; by default after the folder or repository")] = None,
    models: ModelsOption = None,
) -> None:
    """Write the row of a model into the suite's file of models, from its own config.json or header."""
    from refutable.evidence.describer import describer
    from refutable.models.added import add_row, renamed
    from refutable.models.file_hashes import FileHashes
    from refutable.models.own import is_own, known_as
    from refutable.models.registry import load_registry
    from refutable.traces.store import cache_folder

    file = models_file(models) or Path("models.yaml")
    registry = load_registry(file if file.exists() else None)
    if not is_own(model, registry):
        raise BadInput(
            f"{model}: not the path of a folder or a GGUF file, nor OWNER/NAME of a repository without a row"
            + (f"; it is the row {known.name}" if (known := known_as(model, registry)) else "")
        )
    row = describer(FileHashes(cache_folder())).row_to_keep(model, registry.called)
    if name is not None:
        row = renamed(row, name)
    typer.echo(add_row(row, file), nl=False)
    typer.echo(f"Written to {file}. Try it: pytest --model {row.name}")


@models.command()
def revisions(
    model: Annotated[str, typer.Argument(help="name of a registry row", autocompletion=model_names)],
    offline: Annotated[bool, typer.Option(help="never ask the hub: those at hand and those on its row")] = False,
    models: ModelsOption = None,
) -> None:
    """List the revisions of a model: its checkpoints with their steps, and what else the hub or its cache has."""
    from refutable.models.revision_names import natural
    from refutable.models.revisions import Revisions

    registry = known_models(models)
    (row, *others) = registry.matching(model)
    if others or row.no_revisions:
        raise BadInput(f"{model}: {row.no_revisions or 'several models; name one'}")
    expands = Revisions(named=frozenset([row.name]), offline=offline, at_hand=True)
    known, here = expands.known(row), expands.here(row)
    table = screen.table()
    for column in ("revision", "step", "tokens seen", "commit", "at hand"):
        table.add_column(column)
    for name in sorted(known, key=lambda name: (row.schedule.step(name) or 0, natural(name))):
        step, each = row.schedule.step(name), row.schedule.tokens_per_step
        told = ("-" if step is None else f"{step:,}", "-" if step is None or each is None else f"{step * each:,}")
        table.add_row(name, *told, (known[name] or "-")[:12], "yes" if name in here else "")
    screen.console().print(table)


def prompts(
    name: Annotated[
        str | None, typer.Argument(help="a packaged set, or a file: print its texts", autocompletion=prompt_sets)
    ] = None,
) -> None:
    """List the packaged prompt sets, or print the texts of one set, one per line: as JSON if one has line breaks."""
    from refutable.prompts.find import given_prompts, known_sets

    if name is not None:
        texts = [prompt.text for prompt in given_prompts(name).prompts]
        broken = any(len(text.splitlines()) > 1 for text in texts)
        for text in texts:
            typer.echo(json.dumps(text, ensure_ascii=False) if broken else text)
        return
    table = screen.table()
    for column in ("prompt set", "n", "categories", "SHA-256", "source"):
        table.add_column(column, overflow="fold", no_wrap=column in ("prompt set", "n", "SHA-256"))
    for each in known_sets():
        counts = few([f"{count} {category}" for category, count in each.counts.items()], most=5)
        table.add_row(each.name, str(len(each)), counts, each.hash, each.source)
    screen.console().print(table)


def draw(
    model: Annotated[str, typer.Argument(help="name of a registry row", autocompletion=model_names)],
    out: Annotated[Path, typer.Option(help="folder to write safetensors and config.json to")],
    seed: int = 0,
    dtype: str = "float32",
    device: str = "auto",
    models: ModelsOption = None,
) -> None:
    """Draw a model's weights at its true shape and save them; read them back with ``--weights OUT``."""
    from refutable._util.extras import require_measure
    from refutable.models.device import choose_device
    from refutable.models.selection import DTYPES
    from refutable.models.subject import Subject

    row = known_models(models)[model]
    if dtype not in DTYPES:
        raise BadInput(f"--dtype {dtype}: unknown dtype; known: {', '.join(DTYPES)}.")
    if out.exists() and any(out.iterdir()):
        raise BadInput(f"--out {out}: not empty; name a new folder")
    subject = Subject(row.name, weights="init", dtype=dtype, device=choose_device(device).name, seed=seed)
    require_measure()
    from refutable.measurement.loading.load import draw as draw_weights

    draw_weights(row.config, subject, rule=row.init).save_pretrained(out)
    typer.echo(
        f"{row.name}: weights freshly drawn by the {row.init} rule, seed {seed}, {dtype}."
        f" Read them: pytest --model {row.name} --weights {out}"
    )
