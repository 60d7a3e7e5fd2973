"""The subcommand `lock`: records what each claim says now, and which of its data already exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refutable._util.pytest_ini import ini_path
from refutable.cli.defaults import ClaimsArgument, ModelsOption, claims_file, models_file, published

if TYPE_CHECKING:
    from refutable.verdicts.preregistration.lockfile import Lock, Update
    from refutable.verdicts.row import VerdictRow


def lock(
    claims: ClaimsArgument = None,
    models: ModelsOption = None,
    seen: Annotated[
        list[Path] | None,
        typer.Option(
            help="a verdicts.json whose verdicts were seen; by default the last run's and the published one, if any"
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="write nothing; exit 1 if the lock is out of date")] = False,
) -> None:
    """Record in claims.lock what each claim says now, with the date: what is measured later is then confirmatory."""
    from refutable.verdicts.preregistration.lockfile import lock_file, read_lock, write_lock

    file = claims_file(claims)
    path = lock_file(file)
    old = read_lock(path)
    change = _update(file, models_file(models), old, seen)
    for line in tell(change, old):
        typer.echo(line)
    if check and not change.nothing:
        typer.echo(f"{path} is not in step with {file}; run: refutable lock {file}", err=True)
        raise typer.Exit(1)
    if not check and not (change.nothing and path.exists()):
        write_lock(path, change.lock)
        typer.echo(f"wrote {path}; commit it before anything is measured")


def tell(change: Update, old: Lock) -> Iterator[str]:
    """Yield what locking changes, line by line."""
    from refutable.verdicts.preregistration.lockfile import shown

    for name in change.new:
        yield f"new: {name}{_after(change, name)}"
    for name in change.changed:
        yield f"changed since {shown(old[name].locked)}: {name}{_after(change, name)}"
    for name in change.removed:
        yield f"no longer in the file, kept in the lock: {name}"
    for name in change.back:
        yield f"back in the file, as it was locked: {name}"
    yield (
        f"{len(change.new)} new, {len(change.changed)} changed, {len(change.removed)} removed,"
        f" {change.unchanged} unchanged"
    )


def _after(change: Update, name: str) -> str:
    seen = change.lock[name].seen
    return f" (seen already: {', '.join(seen)})" if seen else ""


def _update(claims: Path, models: Path | None, old: Lock, seen: Sequence[Path] | None) -> Update:
    from refutable.claims.cases import cases_of
    from refutable.claims.file import read_claims
    from refutable.models.registry import load_registry
    from refutable.prompts.find import load_prompts
    from refutable.traces.store import open_store
    from refutable.verdicts.preregistration.lockfile import updated
    from refutable.verdicts.preregistration.status import hashes_of, seen_by_now

    prompts = cache(partial(load_prompts, beside=claims.parent))

    loaded = read_claims(claims)
    cases = cases_of(loaded.claims, load_registry(models), loaded.places, prompts)
    rows = list(_rows(claims, seen))
    already = seen_by_now(cases, open_store().metas(), rows, prompts)
    return updated(old, hashes_of(cases, prompts), already, datetime.now(UTC).replace(microsecond=0))


def _rows(claims: Path, seen: Sequence[Path] | None) -> Iterator[VerdictRow]:
    from refutable.reports.formats.verdicts_json import read_verdicts

    reports = ini_path("refutable_reports") or claims.parent / "reports"
    there = [file for file in (reports / "verdicts.json", published()) if file is not None and file.is_file()]
    for file in seen or there:
        yield from read_verdicts(file).rows
