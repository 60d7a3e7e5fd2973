"""Claims decided by the wiring probe, on a reduced, freshly drawn instance of the model's class."""

from __future__ import annotations

from refutable.bench import Bench
from refutable.cases import Case
from refutable.claims import WiringClaim
from refutable.errors import InstrumentError
from refutable.evidence.members import over_models
from refutable.passes import Pass
from refutable.plan import wiring_subject
from refutable.verdict import Judgement, Verdict

SEEN = 1e-6


def judge_wiring(case: Case, bench: Bench) -> Judgement:
    """Say what the probe saw: a parallel block's MLP input does not move when attention's update does."""
    claim: WiringClaim = case.claim
    predicts = f"equals {claim.test.equals}"
    return over_models(
        case.models, claim.quantifier, predicts, claim.alpha, lambda model: _probe(claim, model, bench, predicts)
    )


def _probe(claim: WiringClaim, model: str, bench: Bench, predicts: str) -> Judgement:
    trace = bench.trace(wiring_subject(model, bench.selection), Pass("wiring"))
    changes = trace.blocks["mlp_input_change"].to_pylist()
    if all(change == 0 for change in changes):
        seen = "parallel"
    elif all(change > SEEN for change in changes):
        seen = "sequential"
    else:
        raise InstrumentError(f"{model}: its blocks are not wired alike: the MLP's input changes by {changes}")
    verdict = Verdict.SUPPORTED if seen == claim.test.equals else Verdict.REFUTED
    why = (
        f"{model} is {seen}: with attention's update changed by the size of the block's input, the MLP's input"
        f" changed by {min(changes):.2g} to {max(changes):.2g} of itself in {len(changes)} blocks"
    )
    return Judgement(verdict, predicts, why, details={"seen": seen})
