"""Gauge dependence: does the verdict change when the weights are rewritten without changing the function?"""

from __future__ import annotations

from collections.abc import Iterator

from refutable._util.identity_cache import ByIdentity
from refutable.claims import MeasuredClaim, MeasuredTest
from refutable.errors import Undecidable
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import verdict_of
from refutable.metrics import METRICS
from refutable.models.subject import Subject
from refutable.statistics.sample import Sample
from refutable.verdicts.verdict import Verdict


def gauge_dependent(claim: MeasuredClaim, subject: Subject, source: SampleSource, alpha: float, base: Verdict) -> bool:
    """Whether a canonical form gives a different verdict from the form that the claim is judged in.

    Every LayerNorm ignores a constant along the mean direction, and a norm's scale can be moved into the next matrix.
    Neither affects the logits, but both affect a metric that does not declare itself invariant.
    """
    if source.table is not None:
        return False
    for samples in _canonical_forms(claim, subject, source):
        try:
            differs = verdict_of(claim.test, samples, alpha) is not base
        except Undecidable:
            differs = base.decided
        if differs:
            return True
    return False


def _canonical_forms(claim: MeasuredClaim, subject: Subject, source: SampleSource) -> Iterator[tuple[Sample, ...]]:
    """Yield the claim's samples in each canonical form in which one of its metrics may differ."""
    centred, scaled = _differing(claim.test)
    other = claim.test.other.model if claim.test.other is not None else None
    norms = {source.selection.registry[model].fact("norm") for model in (subject.model, other) if model is not None}
    if centred is not None and "LayerNorm" in norms:
        yield source.samples(centred, claim.prompts, subject)
    if scaled:
        yield source.samples(claim.test, claim.prompts, subject, folded=True)


def _forms(test: MeasuredTest) -> tuple[MeasuredTest | None, bool]:
    """Return the mean-centred form of a test, or None if it is the same, and whether the scale-folded form differs."""
    metrics = [METRICS[name] for name in test.of]
    invariant = [m.invariant if test.norm == "raw" else m.invariant_centred for m in metrics]
    shifts = not all("mean-shift" in of for of in invariant)
    centred = test.model_copy(update={"norm": "centred"}) if shifts else None
    return centred, not all("norm-scale" in of for of in invariant)


_differing = ByIdentity(_forms)
