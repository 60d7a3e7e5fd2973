"""How each kind of evidence decides a claim: one file a kind, one function each."""

from __future__ import annotations

from refutable.claims import (
    ArchitectureClaim,
    InitializationClaim,
    MeasuredClaim,
    PendingClaim,
    TheoremClaim,
    UntestableClaim,
    WiringClaim,
)
from refutable.claims.cases import Case
from refutable.evidence.architecture import judge_architecture
from refutable.evidence.measured import judge_initialization, judge_measured
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.theorem import judge_theorem
from refutable.evidence.untested import judge_pending, judge_untestable
from refutable.evidence.wiring import judge_wiring
from refutable.verdicts.judge import Judgement


def decide_case(case: Case, source: SampleSource) -> Judgement:
    """Decide a case by its kind of evidence; errors are the caller's to turn into verdicts.

    Claims about dynamics and interventions are measured ones with a pass of their own; without a test they are pending.
    """
    match case.claim:
        case InitializationClaim() as claim:
            return judge_initialization(claim, case.models, source)
        case MeasuredClaim() as claim:
            return judge_measured(claim, case.models, source)
        case ArchitectureClaim() as claim:
            return judge_architecture(claim, case.models, source)
        case WiringClaim() as claim:
            return judge_wiring(claim, case.models, source)
        case TheoremClaim() as claim:
            return judge_theorem(claim)
        case PendingClaim() as claim:
            return judge_pending(claim)
        case UntestableClaim() as claim:
            return judge_untestable(claim)
        case claim:
            raise TypeError(f"no decider for claims of {type(claim).__name__}")
