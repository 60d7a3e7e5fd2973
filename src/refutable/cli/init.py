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


def init(folder: Annotated[Path, typer.Argument(help="a new or existing folder")] = Path()) -> None:
    """Start a suite of your own: a claims file with one claim, its schema for editors, and the ini file."""
    for line in write_starter(folder):
        typer.echo(line)


def write_starter(folder: Path) -> list[str]:
    """Write the files of a new suite and return what was done, line by line.

    Raises:
        BadInput: a file of that name exists already; nothing is written.
    """
    from refutable._util.atomic import write_whole
    from refutable.claims.schema import schema_text
    from refutable.models.registry import load_registry

    files = {"claims.yaml": CLAIMS, SCHEMA: schema_text(load_registry()), "pytest.ini": INI}
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise BadInput(f"{folder}: {', '.join(there)} already there; nothing was written. Name another folder")
    for name, text in files.items():
        write_whole(folder / name, text)
    return [f"wrote {folder / name}" for name in files] + [f"now: cd {folder} && pytest"]
