"""Subcommands that read a claims file: `check` and `schema`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from refutable.cli.defaults import ClaimsArgument, ModelsOption, claims_file, models_file
from refutable.errors import BadInput


def check(
    claims: ClaimsArgument = None,
    models: ModelsOption = None,
    prompts: Annotated[
        str | None, typer.Option(help="prompts in place of the claims' own, as pytest's --prompts")
    ] = None,
) -> None:
    """Check a claims file, and list verdicts that its prompts can never reach. No model is loaded."""
    from refutable.verdicts.falsifiability.feasibility import check_feasible

    for line in check_feasible(claims_file(claims), models_file(models), prompts):
        typer.echo(line)


def schema(kind: Annotated[str, typer.Argument(help="claims or verdicts")] = "claims") -> None:
    """Print the JSON Schema of claims files or of verdicts.json."""
    from refutable.claims.file import json_schema
    from refutable.reports.formats.verdicts_schema import verdicts_schema

    schemas = {"claims": json_schema, "verdicts": verdicts_schema}
    if kind not in schemas:
        raise BadInput(f"no schema {kind!r}; known: {', '.join(schemas)}.")
    typer.echo(json.dumps(schemas[kind](), indent=2))
