"""Claims on the pooled values of several models: the model is the unit of replication, not the prompt.

There is one value per model, its mean over prompts (over seeds and prompts for freshly drawn weights), unless the
statistic itself takes one sample per model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refutable.claims import MeasuredClaim
from refutable.errors import NotMeasured, Undecidable
from refutable.evidence.specification import lacking_text, measure_each
from refutable.statistics import STATISTICS
from refutable.statistics.sample import Sample
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict

Samples = tuple[Sample, ...]


def judge_pooled(
    claim: MeasuredClaim,
    models: tuple[str, ...],
    read: Callable[[str], Samples],
    judge: Callable[[Samples], Judgement],
) -> Judgement:
    """Judge one statistic over the models that were measured; the details give their values and name the others.

    Raises:
        NotMeasured: none was measured.
    """
    measured = measure_each(models, read)
    found, lacking = measured.samples, measured.lacking
    if not found:
        reason = next(iter(lacking.values()))
        raise NotMeasured(f"none of {len(models)} models was measured ({reason})", "pytest --model NAME, two at least")
    try:
        judged = judge(_pool(claim, found))
    except Undecidable as error:
        judged = Judgement(Verdict.INCONCLUSIVE, claim.test.predicts, str(error))
    values = {name: ", ".join(f"{sample.values.mean():.4g}" for sample in of) for name, of in found.items()}
    why = f"{judged.why}; one value a model; {lacking_text(lacking)} ({len(found)} of {len(models)} models)"
    return replace(judged, why=why, details={**values, "lacking": ", ".join(lacking) or "none"})


def _pool(claim: MeasuredClaim, found: dict[str, Samples]) -> Samples:
    if STATISTICS[claim.test.statistic].takes.pools:
        return tuple(of[0] for of in found.values())
    columns = zip(*found.values(), strict=True)
    return tuple(
        Sample(of[0].of, np.array([float(sample.values.mean()) for sample in of]), "model", tuple(found))
        for of in columns
    )
