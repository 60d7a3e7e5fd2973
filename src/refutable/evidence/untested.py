"""Claims that nothing here decides: those that need an experiment nobody made, and those that cannot be tested."""

from __future__ import annotations

from refutable.claims import PendingClaim, UntestableClaim
from refutable.claims.cases import Case
from refutable.evidence.sample_source import SampleSource
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict


def judge_pending(case: Case, source: SampleSource) -> Judgement:
    """Say which experiment would decide it."""
    claim: PendingClaim = case.claim
    return Judgement(Verdict.NOT_MEASURED, f"an experiment ({claim.evidence})", f"needs {claim.needs}")


def judge_untestable(case: Case, source: SampleSource) -> Judgement:
    """Say why it cannot be tested."""
    claim: UntestableClaim = case.claim
    return Judgement(Verdict.NOT_MEASURED, "nothing", f"cannot be tested: {claim.reason}")
