"""Combines verdicts on several models under `each`, `all`, `any` or `majority`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from refutable.claims import ClaimOnModels
from refutable.evidence.census import said_of_census
from refutable.evidence.multiverse import fragile
from refutable.evidence.specification import attempt
from refutable.verdicts.judge import Judgement
from refutable.verdicts.quantifiers import combine, combine_variations


def over_models(claim: ClaimOnModels, models: tuple[str, ...], judge_one: Callable[[str], Judgement]) -> Judgement:
    """Judge each model at alpha and combine the judgements; with `each` there is only one, which is returned.

    What varies for some member is combined too.
    """
    if claim.quantifier == "each":
        (model,) = models
        return judge_one(model)
    parts: Mapping[str, Judgement] = {model: attempt(claim.prediction, partial(judge_one, model)) for model in models}
    several = (parts, claim.quantifier, claim.prediction, claim.alpha)
    judged, variations = combine(*several), combine_variations(*several)
    judged = replace(judged, variations=variations).labelled(*fragile(variations, judged.verdict))
    return said_of_census(judged, parts.values())
