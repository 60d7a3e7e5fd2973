"""Publishing: replaces the published verdicts, after showing the difference."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from refutable._util.atomic import write_whole
from refutable.claims.file import load_claims
from refutable.errors import BadInput
from refutable.models.registry import load_registry
from refutable.models.subject import WeightsKind
from refutable.reports.baseline import compare
from refutable.reports.diff import Change, differences
from refutable.reports.formats.verdicts_json import json_text, read_verdicts
from refutable.reports.journal import RunResult
from refutable.reports.markdown import verdict_pages, write_pages
from refutable.verdicts.preregistration.status import current_hashes
from refutable.verdicts.verdict import Verdict

_KINDS = (WeightsKind.LOCAL, WeightsKind.HUB, WeightsKind.QUANTISED, WeightsKind.ADAPTED)
_UNVERIFIED = re.compile(r"\b(" + "|".join(map(re.escape, _KINDS)) + ")")  # `dequantised` is none of them


def changes(run_file: Path, published: Path) -> list[Change] | None:
    """Return how a run differs from the published one, as `refutable diff` shows it; None if nothing is published."""
    run = read_verdicts(run_file)
    return differences(read_verdicts(published), run) if published.is_file() else None


def publish_run(run_file: Path, published: Path, *, fewer: bool = False) -> None:
    """Write a run's verdicts.json as the published one; `fewer` allows it to lack verdicts that are published now.

    Raises:
        BadInput: the run has errors, was cut short, lacks published verdicts, or read weights that nobody else has.
    """
    run = read_verdicts(run_file)
    lost = compare(run, read_verdicts(published)).not_remeasured if published.is_file() and not fewer else ()
    if lost:
        raise BadInput(
            f"{run_file}: {len(lost)} published verdicts were not measured again ({lost[0]}, ...); run all claims, or"
            " say --fewer"
        )
    errors = [row.id for row in run.rows if row.verdict is Verdict.ERROR]
    errors += [check.name for check in run.checks if check.outcome == "error"]
    if errors or not run.complete:
        raise BadInput(
            f"{run_file}: {len(errors)} errors{', cut short' if not run.complete else ''};"
            " only a whole run is published"
        )
    local = [row.id for row in run.rows if _UNVERIFIED.search(row.weights_kind)]
    if local:
        raise BadInput(
            f"{run_file}: {len(local)} verdicts are on unverified weights ({local[0]}); publish known weights"
        )
    text = json_text(_lasting(run))
    for private in (str(Path.home()), str(Path.cwd())):
        if len(private) > 1 and private in text:
            raise BadInput(f"{run_file}: names a path of this machine ({private}); run it again with relative paths")
    write_whole(published, text)


def write_verdict_pages(
    claims: Path, verdicts: Path, page: Path, models: Path | None = None, on_tables: Path | None = None
) -> None:
    """Write the index of verdicts and its pages, from a claims file and the published verdicts.json.

    The pages of sections are written into a folder of the index's name beside it. `on_tables` is another verdicts.json,
    of a run with `--measurements`, shown beside them.

    Raises:
        BadInput: the claims or the verdicts cannot be used.
    """
    loaded = load_claims(claims)
    hashes = current_hashes(loaded, load_registry(models), claims)
    beside = None if on_tables is None or not on_tables.is_file() else read_verdicts(on_tables)
    write_pages(verdict_pages(loaded, read_verdicts(verdicts), hashes, beside, name=page.stem), page.parent)


def _lasting(run: RunResult) -> RunResult:
    """Return what lasts of a run: what was looked at, without times, which no two runs share."""
    rows = tuple(replace(row, seconds=0.0) for row in run.rows if row.verdict.looked)
    checks = tuple(replace(check, seconds=0.0) for check in run.checks)
    return replace(run, rows=rows, checks=checks)
