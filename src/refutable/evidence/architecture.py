"""Claims about a fact of a model: looked up, without an interval."""

from __future__ import annotations

from refutable.claims import ArchitectureClaim
from refutable.errors import InstrumentError
from refutable.evidence.facts import own_config
from refutable.evidence.over_models import over_models
from refutable.evidence.sample_source import SampleSource
from refutable.models.verified import standing
from refutable.statistics.region import parse_region
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import UNVERIFIED_FACT, Estimate, Verdict


def judge_architecture(claim: ArchitectureClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    """Look the fact up in the model's own configuration if available, else in the registry."""
    return over_models(claim, models, lambda model: _look_up(claim, model, source))


def _look_up(claim: ArchitectureClaim, model: str, source: SampleSource) -> Judgement:
    test = claim.test
    row = source.selection.registry[model]
    config = own_config(model, source)
    value = row.fact(test.fact, config)
    if config is not None and value != row.fact(test.fact):
        raise InstrumentError(
            f"{model}: {test.fact} is {value} in its own configuration and {row.fact(test.fact)} in the registry;"
            " fix the row"
        )
    stands = standing(test.fact, row, own_config=config is not None)
    if test.predicts is not None:
        true = float(value) in parse_region(test.predicts)
        estimate = Estimate(
            value=float(value), n=1, unit="census", method="looked up", statistic="fact", of=(test.fact,)
        )
    else:
        true, estimate = value == test.equals, None
    verdict = Verdict.SUPPORTED if true else Verdict.REFUTED
    shown = f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value
    why = f"{test.fact} of {model} is {shown} ({stands}); predicted {claim.prediction}"
    labels = () if stands.verified else (UNVERIFIED_FACT,)
    return Judgement(verdict, claim.prediction, why, estimate, labels, details={"seen": str(shown)})
