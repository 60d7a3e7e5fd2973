"""A claim's test in plain language, a sentence a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from refutable.claims import BaseClaim, MeasuredClaim
from refutable.claims.parts import Against
from refutable.metrics import METRICS
from refutable.reports.page.words import EVIDENCE
from refutable.statistics import STATISTICS
from refutable.traces.passes import blocks_told
from refutable.verdicts.row import VerdictRow

_LITERAL = re.compile(r"``(.*?)``|`(.*?)`")
_LAYERS = {
    "last": "in the last layer",
    "first": "in the first layer",
    "mean": "averaged over layers",
    "trend": "as the slope over layers",
    "greatest": "in the layer where it is greatest",
    "least": "in the layer where it is least",
}
_POSITIONS = {"all": "averaged over tokens", "first": "at the first token", "whole": "of all tokens as one matrix"}


def method_of(row: VerdictRow, claim: BaseClaim | None) -> list[str]:
    """Return how a claim is tried and decided; `claim` is the claim as it was read, where it is at hand."""
    return [*_method(row, claim)]


def _method(row: VerdictRow, claim: BaseClaim | None) -> Iterator[str]:
    evidence = str(row.about.get("evidence", ""))
    estimate = row.estimate
    if isinstance(claim, MeasuredClaim):
        test = claim.test
        of = test.statistic if estimate is None or estimate.statistic not in STATISTICS else estimate.statistic
        asked = f"{_name(of)} of {_named(test.of)}{_where(claim)}"
        yield f"It asks for the {asked}, and predicts {row.predicts}."
        yield from (f"{_name(name)}: {_first(METRICS[name].doc)}" for name in test.of if name in METRICS)
        yield f"{_name(of)}: {_first(STATISTICS[of].doc)}" if of in STATISTICS else ""
    elif estimate is not None and estimate.statistic != "fact" and evidence != "architecture":
        yield f"It asks for the {_name(estimate.statistic)} of {_named(estimate.of)}, and predicts {row.predicts}."
        yield from (f"{_name(name)}: {_first(METRICS[name].doc)}" for name in estimate.of if name in METRICS)
    else:
        yield f"It rests on {EVIDENCE.get(evidence, evidence)}, and predicts: {row.predicts}."
    if (estimate is not None and estimate.p is not None) or isinstance(claim, MeasuredClaim):
        alpha = 100 * float(row.about.get("alpha", 0.05))
        yield (
            "SUPPORTED if the interval lies inside what is predicted, REFUTED if it lies outside, else INCONCLUSIVE;"
            f" either error has a probability of at most {alpha:g} % where the test's assumptions hold."
        )


def _where(claim: MeasuredClaim) -> str:
    test = claim.test
    parts = [
        _LAYERS.get(str(test.layer), f"in layer {test.layer}") if test.layer not in (None, "each") else "",
        _POSITIONS.get(test.position, ""),
        "less its mean over the width" if test.norm == "centred" else "",
        f"under {test.under}" if test.under else "",
        f"of coordinate {test.coordinate}" if test.coordinate is not None else "",
        f"in {blocks_told(test.blocks, test.under)}" if test.under and test.blocks else "",
        "against the model as it is" if test.against == "plain" else "",
        _against(test.other) if test.other is not None else "",
        f"where it counts if {test.holds}" if test.holds else "",
        f"on {claim.prompts}" if claim.prompts else "",
    ]
    shown = [part for part in parts if part]
    return f" ({', '.join(shown)})" if shown else ""


def _against(other: Against) -> str:
    for key, value in other.reading.items():
        return f"against {blocks_told(value) if key == 'blocks' else f'{key} {value}'}"
    return f"against {other.model or other.dtype or other.revision}"


def _name(name: str) -> str:
    return name.replace("_", " ")


def _named(names: tuple[str, ...]) -> str:
    return " and ".join(map(_name, names))


def _first(doc: str) -> str:
    """Return a docstring's first paragraph on one line, without its backquotes."""
    return _LITERAL.sub(lambda found: found[1] or found[2], " ".join(doc.split("\n\n")[0].split()))
