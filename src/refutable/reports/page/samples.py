"""The sample behind a verdict, from the store's traces: values by prompt and category, and by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refutable.claims import InitializationClaim, MeasuredClaim
from refutable.claims.sampling import samples_of
from refutable.errors import RefutableError
from refutable.metrics import METRICS, evaluate
from refutable.reports.beside import KnownClaim
from refutable.statistics import STATISTICS
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

        Each has ``of``, ``unit``, ``values`` (one a prompt; empty if the claim counts layers), ``categories`` (the
        index of each value's category), ``names`` (of the categories), ``prompts`` (shortened texts), ``region`` (the
        ends that a value is compared with, if it is) and, of a metric with a value a layer, ``layers``: the quartiles
        over prompts in each layer.
        """
        if known is None or known.hash != row.about.get("claim_hash") or not row.traces or "," in row.subject:
            return []
        claim = known.claim
        if not isinstance(claim, MeasuredClaim) or isinstance(claim, InitializationClaim):
            return []
        other = claim.prompts != row.weights.get("prompt_set")
        if other or claim.test.against is not None or claim.test.over_models:
            return []
        trace = self._trace(row.traces[0])
        if trace is None:
            return []
        try:
            return [_sample(claim, name, trace) for name in claim.test.of if METRICS[name].reads == trace.meta["pass"]]
        except (RefutableError, KeyError, ValueError):  # a trace of another version; the verdict itself stands
            return []

    def _trace(self, key: str) -> Trace | None:
        if key not in self._traces:
            try:
                self._traces[key] = self.store.get(key)
            except OSError:
                self._traces[key] = None
        return self._traces[key]


def _sample(claim: MeasuredClaim, name: str, trace: Trace) -> dict[str, Any]:
    sample = samples_of(claim.test, name, trace)[0]
    told: dict[str, Any] = {"of": name, "unit": METRICS[name].unit, "values": [], "region": _region(claim)}
    if sample.values.ndim == 1:
        step = -(-sample.n // MOST_PROMPTS)
        names = list(dict.fromkeys(sample.clusters[::step]))
        told |= {
            "values": _plain(sample.values[::step]),
            "categories": [names.index(one) for one in sample.clusters[::step]],
            "names": names,
            "prompts": [text if len(text) <= 60 else f"{text[:57]}..." for text in sample.prompts[::step]],
            "of_all": sample.n,
        }
    if METRICS[name].per == "layer":
        test = claim.test
        by_layer = evaluate(name, trace, position=test.position, norm=test.norm, first_token=test.first_token)
        told["layers"] = [_plain(np.nanquantile(by_layer.values, q, axis=0)) for q in QUARTILES]
    return told


def _region(claim: MeasuredClaim) -> list[float | None]:
    """Return the ends that a value of the claim's sample is compared with; none if these are on another scale."""
    test = claim.test
    region = test.holds_region if test.holds else test.region
    alike = test.holds or (len(test.of) == 1 and STATISTICS[test.statistic].range is None)
    return _plain((region.low, region.high)) if alike else []


def _plain(values: NDArray[np.float64] | Iterable[float]) -> list[float | None]:
    """Return values with five digits; None for what is not finite."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values]
