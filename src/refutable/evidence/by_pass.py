"""Claims about dynamics or an intervention: measured where a pass decides them, else pending."""

from __future__ import annotations

from refutable.claims import PendingClaim
from refutable.claims.cases import Case
from refutable.evidence.measured import judge_measured
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.untested import judge_pending
from refutable.verdicts.judge import Judgement


def judge_by_pass(case: Case, source: SampleSource) -> Judgement:
    """Judge a claim that carries a test as any measured one; say of one that does not which experiment it needs."""
    if isinstance(case.claim, PendingClaim):
        return judge_pending(case, source)
    return judge_measured(case, source)
