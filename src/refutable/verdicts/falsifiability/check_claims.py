"""What can be said of a claims file before anything is tried: verdicts out of reach, families, totals."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from refutable._util.text import counted
from refutable.claims import ExperimentClaim, MeasuredClaim
from refutable.claims.cases import cases_of
from refutable.claims.references import lacking_categories, read_checked
from refutable.models.registry import load_registry
from refutable.prompts.find import given_prompts, load_prompts
from refutable.prompts.prompt_set import are_categorised
from refutable.statistics import STATISTICS
from refutable.verdicts.falsifiability.feasibility import count_categories, infeasible, these
from refutable.verdicts.falsifiability.seeds import infeasible_with_seeds
from refutable.verdicts.multiplicity import describe


def check_feasible(file: Path, models: Path | None = None, prompts: str | None = None) -> Iterator[str]:
    """Yield one line for each claim that can never reach some verdict, and one with the totals.

    `models` and `prompts` are files: of registry rows, and of prompts (or a packaged set) instead of the claims' own.

    Raises:
        BadInput: the claims or the registry cannot be used.
    """
    registry = load_registry(models)
    given = given_prompts(prompts) if prompts is not None else None
    named = functools.cache(lambda name: load_prompts(name, file.parent))
    loaded = read_checked(file, registry, named if given is None else None)
    has = None if given is None else are_categorised(given.categories)
    categorised = None if has is None else lambda _: bool(has)
    cases = cases_of(loaded.claims, registry, loaded.places, named, categorised=categorised)
    for claim in {case.claim.id: case.claim for case in cases}.values():
        if isinstance(claim, MeasuredClaim):
            used = named(claim.prompts) if given is None else given
            if lacking := lacking_categories(claim, used):
                yield f"{claim.id}: not measured with {these(len(used), 'prompt')}: none is of category {lacking[0]!r}"
                continue
            by_category = STATISTICS[claim.test.statistic].takes.by_category
            if by_category and claim.test.fact is None and not any(used.categories):
                yield f"{claim.id}: not measured with {these(len(used), 'prompt')}: they have no categories"
                continue
            if found := infeasible(claim, len(used), registry, categories=count_categories(used)):
                yield f"{claim.id}: {found}"
    for case in cases:
        of = case.claim
        if isinstance(of, ExperimentClaim) and (short := infeasible_with_seeds(of, case.size, file.parent)):
            yield f"{case.id}: {short}"
    yield from describe(cases)
    yield f"{file.name}: {counted(len(loaded.claims), 'claim')}, {counted(len(cases), 'case')}, no fault found"
