"""The sample behind a verdict, from the store's traces: values by prompt and category, and by layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refutable.claims import ExperimentClaim, InitializationClaim, MeasuredClaim
from refutable.claims.sampling import samples_of
from refutable.errors import RefutableError
from refutable.evidence.experiment import SEED
from refutable.evidence.given_traces import given_traces
from refutable.evidence.specification import model_samples, own_specification, seed_samples
from refutable.experiments.table import WHOLE, load_experiment
from refutable.metrics import METRICS, evaluate
from refutable.reports.beside import KnownClaim
from refutable.statistics import STATISTICS
from refutable.statistics.sample import Sample
from refutable.traces.store import Store
from refutable.traces.trace import Trace
from refutable.verdicts.row import VerdictRow

MOST_PROMPTS = 600  # a larger sample is drawn as every second, third, ... of its prompts
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(slots=True)
class Samples:
    """Reads samples from a store, each trace once."""

    store: Store
    _traces: dict[str, Trace | None] = field(default_factory=dict)

    def of(self, row: VerdictRow, known: KnownClaim | None) -> list[dict[str, Any]]:
        """Return a verdict's samples, one a metric, in plain values; none that the store no longer has.

        Each has ``of``, ``unit`` (of the values), ``by`` (what one value is of: a prompt or a seed), ``values`` (empty
        if the claim counts layers), ``categories`` (the index of each value's category), ``names`` (of the categories),
        ``prompts`` (shortened texts, or which seed), ``region`` (the ends that a value is compared with, if it is) and,
        of a metric with a value a layer, ``layers``: the quartiles over prompts in each layer.
        """
        if known is None or known.hash != row.about.get("claim_hash") or "," in row.subject:
            return []
        claim = known.claim
        try:
            if isinstance(claim, ExperimentClaim):
                return experiment_samples(claim, row, known.folder)
            if isinstance(claim, MeasuredClaim) and row.traces and not claim.test.over_models:
                return self._measured(claim, row)
        except (RefutableError, KeyError, ValueError):  # a trace of another version; the verdict itself stands
            return []
        return []

    def _measured(self, claim: MeasuredClaim, row: VerdictRow) -> list[dict[str, Any]]:
        if claim.prompts != row.weights.get("prompt_set") or claim.test.groups is not None:
            return []
        drawn = isinstance(claim, InitializationClaim)
        if drawn or claim.test.against is not None:
            wanted = row.traces[: len(claim.seeds) if isinstance(claim, InitializationClaim) else 2]
            found = [trace for key in wanted if (trace := self._trace(key)) is not None]
            return derived_samples(claim, row.subject, found) if len(found) == len(wanted) else []
        trace = self._trace(row.traces[0])
        if trace is None:
            return []
        return [_sample(claim, name, trace) for name in claim.test.of if METRICS[name].reads == trace.meta["pass"]]

    def _trace(self, key: str) -> Trace | None:
        if key not in self._traces:
            try:
                self._traces[key] = self.store.get(key)
            except OSError:
                self._traces[key] = None
        return self._traces[key]


def derived_samples(claim: MeasuredClaim, model: str, traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """Return the samples of a claim that no one trace has: differences of two readings, or a value a seed."""
    source = given_traces(traces)
    specification = replace(own_specification(claim), prompts=str(traces[0].meta["prompt_set"]))
    if isinstance(claim, InitializationClaim):
        samples = seed_samples(specification, claim.seeds, model, source)
        return [_told(one, claim, [f"seed {seed}" for seed in claim.seeds]) for one in samples]
    samples = model_samples(specification, model, source)
    return [_told(one, claim, one.prompts) | {"of": f"difference of {one.of}"} for one in samples]


def experiment_samples(claim: ExperimentClaim, row: VerdictRow, folder: Path) -> list[dict[str, Any]]:
    """Return the value of each contrast in each seed of an experiment."""
    experiment = load_experiment(claim.test.experiment, folder)
    size = next((size for size in claim.sizes if row.id == f"{claim.id}-{size}"), WHOLE)
    found = []
    for contrast in claim.test.contrasts:
        values = experiment.contrast(contrast.of, contrast.sum, size)
        seeds = [f"seed {seed}" for seed in experiment.shared_seeds(contrast.sum, size)]
        region = _plain((contrast.region.low, contrast.region.high))
        about = {"of": str(contrast), "unit": "", "by": SEED, "region": region}
        found.append(about | _points(values, (), seeds))
    return found


def _sample(claim: MeasuredClaim, name: str, trace: Trace) -> dict[str, Any]:
    sample = samples_of(claim.test, name, trace)[0]
    told = _told(sample, claim, sample.prompts)
    if METRICS[name].per == "layer":
        test = claim.test
        by_layer = evaluate(name, trace, position=test.position, norm=test.norm, first_token=test.first_token)
        told["layers"] = [_plain(np.nanquantile(by_layer.values, q, axis=0)) for q in QUARTILES]
    return told


def _told(sample: Sample, claim: MeasuredClaim, units: Sequence[str]) -> dict[str, Any]:
    """Return a sample in plain values; of several values a unit, only what it is of."""
    unit = METRICS[sample.of].unit if sample.of in METRICS else ""
    told: dict[str, Any] = {"of": sample.of, "unit": unit, "by": sample.unit, "values": [], "region": _region(claim)}
    return told | _points(sample.values, sample.clusters, units) if sample.values.ndim == 1 else told


def _points(values: NDArray[np.float64], clusters: Sequence[str], units: Sequence[str]) -> dict[str, Any]:
    """Return values with the category of each and the unit that it is of; every second, third, ... of very many."""
    step = -(-len(values) // MOST_PROMPTS)
    names = list(dict.fromkeys(clusters[::step]))
    return {
        "values": _plain(values[::step]),
        "categories": [names.index(one) for one in clusters[::step]],
        "names": names,
        "prompts": [text if len(text) <= 60 else f"{text[:57]}..." for text in units[::step]],
        "of_all": len(values),
    }


def _region(claim: MeasuredClaim) -> list[float | None]:
    """Return the ends that a value of the claim's sample is compared with; none if these are on another scale."""
    test = claim.test
    region = test.holds_region if test.holds else test.region
    alike = test.holds or (len(test.of) == 1 and STATISTICS[test.statistic].range is None)
    return _plain((region.low, region.high)) if alike else []


def _plain(values: NDArray[np.float64] | Iterable[float]) -> list[float | None]:
    """Return values with five digits; None for what is not finite."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values]
