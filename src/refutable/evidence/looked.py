"""On which prompts a case was looked at."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from refutable.claims import MeasuredClaim, MeasuredTest
from refutable.claims.cases import Case
from refutable.errors import RefutableError
from refutable.evidence.published.table import Table
from refutable.evidence.sample_source import SampleSource
from refutable.prompts.prompt_set import PromptSet, links_of
from refutable.statistics import STATISTICS
from refutable.statistics.sample import CENSUS, Sample
from refutable.verdicts.judge import Judgement
from refutable.verdicts.looks import Look


def look_at(case: Case, judgement: Judgement, source: SampleSource, table: Table | None) -> tuple[Look, ...]:
    """Return the look that a verdict is, if a statistic looked at prompts.

    Args:
        case: what was tried.
        judgement: its verdict.
        source: knows the claim's prompts.
        table: what it was judged on, whose own prompts were looked at; None if it was measured.
    """
    claim, estimate = case.claim, judgement.estimate
    if not isinstance(claim, MeasuredClaim) or not judgement.verdict.looked or estimate is None:
        return ()
    if estimate.unit == CENSUS:
        return ()
    anytime = STATISTICS[claim.test.statistic].anytime
    prompts = source.prompts(claim.prompts)
    if table is None:
        return (Look(len(prompts), prompts.links if anytime else prompts.links[-1:], anytime),)
    sample = _first_sample(table, case.models, claim.test, prompts)
    if sample is None:
        return ()
    if not sample.prompts:  # nobody knows which: each table is another set, and none is known to begin with another
        return (Look(sample.n, (table.sha256[:16],), anytime),)
    links = links_of((text,) for text in sample.prompts)
    return (Look(len(links), links if anytime else links[-1:], anytime),)


def _first_sample(table: Table, models: Iterable[str], test: MeasuredTest, prompts: PromptSet) -> Sample | None:
    """Return the numbers of the first of some models that a table has them of; None if it has none."""
    for model in models:
        with suppress(RefutableError):
            return table.sample(test.of[0], model, test, prompts)
    return None
