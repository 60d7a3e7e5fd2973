"""What can be said of claims before any model is loaded: which verdicts these prompts can never bring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from refutable.cases import cases_of
from refutable.claim_families import describe
from refutable.claims import InitializationClaim, MeasuredClaim
from refutable.claims_file import load_claims
from refutable.models import load_registry
from refutable.prompts import load_prompts
from refutable.statistics import STATISTICS
from refutable.vacuity import is_vacuous
from refutable.verdict import feasibility


def check_feasible(file: Path, models: Path | None = None) -> Iterator[str]:
    """Yield one line for each claim that some verdict can never reach, and one that counts all.

    Raises:
        BadInput: the claims or the registry cannot be used.
    """
    claims = load_claims(file)
    cases = cases_of(claims, load_registry(models), file.name)
    for claim in claims:
        if not isinstance(claim, MeasuredClaim):
            continue
        n = (
            len(claim.seeds)
            if isinstance(claim, InitializationClaim)
            else len(load_prompts(claim.prompts, file.parent))
        )
        for name in claim.multiverse.prompts:
            load_prompts(name, file.parent)
        labels: tuple[str, ...] = ("vacuous: any data would do",) if is_vacuous(claim.test) else ()
        labels += feasibility(STATISTICS[claim.test.statistic], claim.test.region, claim.alpha, n)
        if labels:
            unit = "seeds" if isinstance(claim, InitializationClaim) else "prompts"
            yield f"{claim.id}: with these {n} {unit}: {', '.join(labels)}"
    yield from describe(cases)
    yield f"{file.name}: {len(claims)} claims, {len(cases)} cases, no fault found"
