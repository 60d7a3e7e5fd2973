"""What a run that was made before is shown with: the claims and the published tables that the ini file names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from refutable._util.pytest_ini import ini_path
from refutable._util.reading import exists
from refutable.cli.defaults import claims_file, models_file
from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.reports.beside import KnownClaim
    from refutable.reports.journal import RunResult


def shown_with(run: RunResult, file: Path, baseline: RunResult | None = None) -> RunResult:
    """Return a run with what it is shown with.

    Args:
        run: as it was read.
        file: what it was read from; a verdicts.json without unmeasured cases, as `publish` leaves it, is of all claims.
        baseline: what it is compared with, if anything.
    """
    from dataclasses import replace

    from refutable.reports.beside import Beside
    from refutable.reports.formats.verdicts_json import read_verdicts
    from refutable.verdicts.verdict import Verdict

    tables = ini_path("refutable_on_tables")
    own = bool(run.provenance.get("options", {}).get("measurements")) or tables is None or not exists(tables)
    everything = file.suffix == ".json" and all(row.verdict is not Verdict.NOT_MEASURED for row in run.rows)
    on_tables = None if own or tables is None else read_verdicts(tables)
    return replace(run, beside=Beside(_known(), baseline, on_tables, all_tables=everything))


def _known() -> dict[str, KnownClaim]:
    """Return the claims of the claims file; none, with the reason told, where they cannot be read."""
    from refutable.claims.file import read_claims
    from refutable.models.registry import load_registry
    from refutable.reports.beside import known_claims
    from refutable.verdicts.preregistration.status import current_hashes

    file = claims_file(None)
    if not exists(file):
        return {}
    try:
        loaded = read_claims(file)
        return known_claims(loaded, current_hashes(loaded.claims, load_registry(models_file(None)), file))
    except BadInput as error:
        typer.echo(f"the page has no YAML of claims: {error}", err=True)
        return {}
