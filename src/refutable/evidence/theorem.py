"""Claims that are mathematics: REFUTED by a counter-example, SUPPORTED by a proof, else INCONCLUSIVE."""

from __future__ import annotations

from refutable.claims import TheoremClaim
from refutable.theorems import THEOREMS, search_counter_example
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict


def judge_theorem(claim: TheoremClaim) -> Judgement:
    """Search for a counter-example; if there is none, a proof supports the claim."""
    subject = THEOREMS[claim.test.property]
    found = search_counter_example(subject, claim.test.examples)
    predicts = " ".join(subject.doc.split())
    if found.counter_example is not None:
        shown = ", ".join(f"{name} = {value}" for name, value in found.counter_example.items())
        return Judgement(Verdict.REFUTED, predicts, f"counter-example: {shown}", details={"seen": shown})
    if found.tried == 0:
        return Judgement(Verdict.ERROR, predicts, "no generated input satisfies the premise: nothing was tried")
    if claim.proof is None:
        return Judgement(Verdict.INCONCLUSIVE, predicts, f"none found in {found.tried}, and no proof is given")
    why = f"proof: {claim.proof}; no counter-example in {found.tried} inputs"
    if claim.proof_file is not None:
        return Judgement(Verdict.SUPPORTED, predicts, why, details={"seen": "a proof"})
    return Judgement(Verdict.SUPPORTED, predicts, why, details={"seen": "a cited proof"}, labels=("by citation",))
