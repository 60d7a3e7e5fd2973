"""The facts that claims read, and what they stand on."""

from __future__ import annotations

from refutable.errors import NotMeasured
from refutable.evidence.sample_source import SampleSource
from refutable.models.config import Config
from refutable.models.verified import Standing, standing
from refutable.traces.passes import Pass
from refutable.verdicts.verdict import UNVERIFIED_FACT


def own_config(model: str, source: SampleSource) -> Config | None:
    """Return the model's own configuration, and not the registry's, if this run can read it without a download."""
    try:
        weights = source.find_weights(source.selection.subject(model), Pass("forward"), download=False)
    except NotMeasured:
        return None
    return None if weights.config_from == "registry" else dict(weights.config)


def standing_of(fact: str, model: str, source: SampleSource) -> Standing:
    """Return what a fact of a model stands on in this run."""
    row = source.selection.registry[model]
    return standing(fact, row, own_config=own_config(model, source) is not None)


def labels_of_facts(fact: str, models: tuple[str, ...], source: SampleSource) -> tuple[str, ...]:
    """Return the label of a verdict that reads an unverified fact of one of the models; nothing if all are verified."""
    verified = all(standing_of(fact, model, source).verified for model in models)
    return () if verified else (UNVERIFIED_FACT,)
