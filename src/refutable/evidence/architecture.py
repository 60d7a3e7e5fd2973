"""Claims about a fact of a model: looked up, without an interval."""

from __future__ import annotations

from refutable.claims import ArchitectureClaim
from refutable.errors import InstrumentError, NotMeasured
from refutable.evidence.over_models import over_models
from refutable.evidence.sample_source import SampleSource
from refutable.models.registry_facts import row_origin
from refutable.statistics.region import parse_region
from refutable.traces.passes import Pass
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Estimate, Verdict


def judge_architecture(claim: ArchitectureClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    """Look the fact up in the model's own configuration if available, else in the registry."""
    return over_models(claim, models, lambda model: _look_up(claim, model, source))


def _look_up(claim: ArchitectureClaim, model: str, source: SampleSource) -> Judgement:
    test = claim.test
    row = source.selection.registry[model]
    config, origin = _config(model, source)
    origin = (None if row.stand_in else row_origin(test.fact, row)) or origin
    value = row.fact(test.fact, config)
    if config is not None and value != row.fact(test.fact):
        raise InstrumentError(
            f"{model}: {test.fact} is {value} in its own configuration and {row.fact(test.fact)} in the registry;"
            " fix the row"
        )
    if test.predicts is not None:
        true = float(value) in parse_region(test.predicts)
        estimate = Estimate(
            value=float(value), n=1, unit="census", method="looked up", statistic="fact", of=(test.fact,)
        )
    else:
        true, estimate = value == test.equals, None
    verdict = Verdict.SUPPORTED if true else Verdict.REFUTED
    shown = f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value
    why = f"{test.fact} of {model} is {shown} ({origin}); predicted {claim.prediction}"
    return Judgement(verdict, claim.prediction, why, estimate, details={"seen": str(shown)})


def _config(model: str, source: SampleSource) -> tuple[dict[str, object] | None, str]:
    """Return the model's own configuration if this run can read it, and the origin of the fact in words."""
    row = source.selection.registry[model]
    try:
        weights = source.find_weights(source.selection.subject(model), Pass("forward"), download=False)
    except NotMeasured:
        weights = None
    if weights is not None and weights.config_from == "config.json":
        return dict(weights.config), "its own config.json"
    return None, f"registry: {row.config_source}"
