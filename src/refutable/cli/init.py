"""A suite of one's own, started: a claims file with one claim and the ini file that switches refutable on."""

from __future__ import annotations

from pathlib import Path

from refutable._util.atomic import write_whole
from refutable.errors import BadInput

CLAIMS = """\
# Each claim is a statement and the test that decides it. Run: pytest
schema: 1
claims:
  - id: the-last-block-expands
    statement: The last block makes the residual stream longer.
    evidence: measured
    models: [smollm2]
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
"""
INI = """\
[pytest]
refutable_claims = claims.yaml
addopts = --pyargs
testpaths = refutable.suite
"""


def write_starter(folder: Path) -> list[str]:
    """Write the files of a new suite.

    Returns:
        What was done, line by line.

    Raises:
        BadInput: a file of that name is already there; nothing is written.
    """
    files = {"claims.yaml": CLAIMS, "pytest.ini": INI}
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise BadInput(f"{folder}: {', '.join(there)} already there; nothing was written. Name another folder")
    for name, text in files.items():
        write_whole(folder / name, text)
    return [f"wrote {folder / name}" for name in files] + [f"now: cd {folder} && pytest"]
