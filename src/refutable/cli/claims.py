"""Subcommands that read a claims file: `check` and `schema`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from refutable.cli.defaults import ClaimsArgument, ModelsOption, claims_file, known_models, models_file
from refutable.errors import BadInput


def check(
    claims: ClaimsArgument = None,
    models: ModelsOption = None,
    prompts: Annotated[
        str | None, typer.Option(help="prompts in place of the claims' own, as pytest's --prompts")
    ] = None,
) -> None:
    """Check a claims file, and list verdicts that its prompts can never reach. No model is loaded."""
    from refutable.verdicts.falsifiability.check_claims import check_feasible

    for line in check_feasible(claims_file(claims), models_file(models), prompts):
        typer.echo(line)


def schema(
    kind: Annotated[str, typer.Argument(help="claims or verdicts")] = "claims", models: ModelsOption = None
) -> None:
    """Print the JSON Schema of claims files, with every name that they can use here, or of verdicts.json."""
    from refutable.claims.schema import schema_text
    from refutable.reports.formats.verdicts_schema import verdicts_schema

    if kind == "claims":
        typer.echo(schema_text(known_models(models)), nl=False)
    elif kind == "verdicts":
        typer.echo(json.dumps(verdicts_schema(), indent=2))
    else:
        raise BadInput(f"no schema {kind!r}; known: claims, verdicts.")
