"""How each kind of evidence decides a claim: one file and one function per kind."""

from __future__ import annotations

from refutable.claims import (
    ArchitectureClaim,
    ExperimentClaim,
    InitializationClaim,
    MeasuredClaim,
    PendingClaim,
    TheoremClaim,
    UntestableClaim,
    WiringClaim,
)
from refutable.claims.cases import Case
from refutable.evidence.architecture import judge_architecture
from refutable.evidence.experiment import judge_experiment
from refutable.evidence.measured import judge_initialization, judge_measured
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.theorem import judge_theorem
from refutable.evidence.wiring import judge_wiring
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict


def decide_case(case: Case, source: SampleSource) -> Judgement:
    """Decide a case by its kind of evidence; the caller turns errors into verdicts.

    Claims about dynamics and interventions are measured claims with a pass of their own; without a test they are
    pending.
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
        case ExperimentClaim() as claim:
            return judge_experiment(claim, case.size, source.folder)
        case PendingClaim() as claim:
            return Judgement(Verdict.NOT_MEASURED, f"an experiment ({claim.evidence})", f"needs {claim.needs}")
        case UntestableClaim() as claim:
            return Judgement(Verdict.NOT_MEASURED, "nothing", f"cannot be tested: {claim.reason}")
        case claim:
            raise TypeError(f"no decider for claims of {type(claim).__name__}")
