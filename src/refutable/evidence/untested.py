"""Claims that nothing here decides: no experiment was made, or none is possible."""

from __future__ import annotations

from refutable.claims import PendingClaim, UntestableClaim
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict


def judge_pending(claim: PendingClaim) -> Judgement:
    """Say which experiment would decide it."""
    return Judgement(Verdict.NOT_MEASURED, f"an experiment ({claim.evidence})", f"needs {claim.needs}")


def judge_untestable(claim: UntestableClaim) -> Judgement:
    """Say why it cannot be tested."""
    return Judgement(Verdict.NOT_MEASURED, "nothing", f"cannot be tested: {claim.reason}")
