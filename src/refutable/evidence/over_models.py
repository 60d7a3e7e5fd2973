"""Verdicts on several models combined under `each`, `all`, `any` or `majority`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from refutable.claims import ClaimOnModels
from refutable.errors import NotMeasured, RefutableError, Undecidable
from refutable.verdicts.judge import Judgement
from refutable.verdicts.quantifiers import combine
from refutable.verdicts.verdict import Verdict


def over_models(claim: ClaimOnModels, models: tuple[str, ...], judge_one: Callable[[str], Judgement]) -> Judgement:
    """Judge each model at alpha and combine; with `each` there is one model and its judgement stands alone."""
    if claim.quantifier == "each":
        (model,) = models
        return judge_one(model)
    parts: Mapping[str, Judgement] = {model: _caught(model, claim.prediction, judge_one) for model in models}
    return combine(parts, claim.quantifier, claim.prediction, claim.alpha)


def _caught(model: str, predicts: str, judge_one: Callable[[str], Judgement]) -> Judgement:
    try:
        return judge_one(model)
    except NotMeasured as error:
        return Judgement(Verdict.NOT_MEASURED, predicts, str(error))
    except Undecidable as error:
        return Judgement(Verdict.INCONCLUSIVE, predicts, str(error))
    except RefutableError as error:
        return Judgement(Verdict.ERROR, predicts, str(error))
