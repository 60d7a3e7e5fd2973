"""Templates for `refutable init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refutable.errors import BadInput

SCHEMA = "claims.schema.json"
CLAIMS = f"""\
# yaml-language-server: $schema={SCHEMA}
# Each claim is a statement and the test that decides it. Run: pytest
schema: 1
claims:
  - id: the-last-block-expands
    statement: The last block makes the residual stream longer.
    evidence: measured
    models: [smollm2]
    test: {{statistic: mean, of: last_gain, predicts: "> 1"}}
"""
INI = """\
[pytest]
refutable_claims = claims.yaml
addopts = --pyargs
testpaths = refutable.suite
"""


INCLUDING = """\
# yaml-language-server: $schema={schema}
# The packaged claims `{name}`, copied; add your own under `claims:`. Run: pytest -m 'not slow'
# What the slow ones would take: refutable measure --plan
schema: 1
include:
  - claims/{name}/{name}.yaml
"""


def init(
    folder: Annotated[Path, typer.Argument(help="a new or existing folder")] = Path(),
    packaged: Annotated[
        str | None, typer.Option("--from", help="start with a copy of packaged claims: field, what the field believes")
    ] = None,
) -> None:
    """Start a suite of your own: a claims file with one or packaged claims, its schema for editors, an ini file."""
    for line in write_starter(folder, packaged):
        typer.echo(line)


def write_starter(folder: Path, packaged: str | None = None) -> list[str]:
    """Write the files of a new suite and return what was done, line by line.

    Args:
        folder: where, made if it is not there.
        packaged: the name of packaged claims to begin with; by default one claim.

    Raises:
        BadInput: a file of that name exists already, or no packaged claims are called so; nothing is written.
    """
    from refutable._util.atomic import write_whole
    from refutable.claims.packaged import packaged_claims
    from refutable.claims.schema import schema_text
    from refutable.models.registry import load_registry

    files = {"claims.yaml": CLAIMS, SCHEMA: schema_text(load_registry()), "pytest.ini": INI}
    if packaged is not None:
        files["claims.yaml"] = INCLUDING.format(schema=SCHEMA, name=packaged)
        files |= {f"claims/{packaged}/{name}": text for name, text in packaged_claims(packaged, f"../../{SCHEMA}")}
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise BadInput(f"{folder}: {', '.join(there)} already there; nothing was written. Name another folder")
    for name, text in files.items():
        write_whole(folder / name, text)
    run = "pytest" if packaged is None else "pytest -m 'not slow'  # the slow ones: refutable measure --plan"
    return [f"wrote {folder / name}" for name in files] + [f"now: cd {folder} && {run}"]
