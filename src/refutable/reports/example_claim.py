"""Example claims, made for whatever is in the registries: the first of some usual forms that the schema accepts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from refutable.claims.file import CLAIM
from refutable.metrics import METRICS, Metric
from refutable.statistics import Statistic
from refutable.statistics.over import other_statistic
from refutable.traces.passes import PASSES, PassKind

Keys = Mapping[str, Any]
MODEL = "smollm2"
FAMILY = "pythia-*"
GROUPS = {"parallel": {"wiring": "parallel"}, "sequential": {"wiring": "sequential"}}
CATEGORIES = {"new": ["Novel", "Nonsense"], "known": "Factual"}


def example_of_metric(of: Metric) -> str:
    """Return a claim on a metric's mean, as YAML."""
    predicts = _beyond(of.range)
    test: dict[str, Any] = {"statistic": "mean", "of": of.name, "predicts": predicts}
    if of.per == "layer":
        test["layer"] = "last"
    evidence = "dynamical" if PASSES[of.reads].dynamic else "measured"
    where = " in the last block" if of.per == "layer" else ""
    if PASSES[of.reads].compares:
        test |= {"under": "skip-block", "blocks": "middle"}
        evidence, where = "intervention", " without the middle block"
    said = f"The mean {_words(of.name)}{where} is {_said(predicts)}."
    return _written(of.name, said, evidence, test, {"models": [MODEL]})


def example_of_statistic(of: Statistic) -> str:
    """Return a claim on a statistic, as YAML; empty where none of the usual forms suits its input."""
    for test, beside in _forms(of):
        metric = METRICS[test["of"] if isinstance(test["of"], str) else test["of"][0]]
        counts = "holds" in test and of.range is None
        predicts = ">= 5" if of.takes.over_models else _beyond((0.0, 1.0) if counts else of.range or metric.range)
        written = {"statistic": of.name, **test, "predicts": predicts}
        if _accepts("measured", written, beside):
            said = f"The {_words(of.name)} of {_words(metric.name)} is {_said(predicts)}."
            return _written(of.name, said, "measured", written, beside)
    return ""


def example_of_pass(of: PassKind) -> str:
    """Return a claim that reads a pass, as YAML; empty where no metric reads it."""
    if of.name == "wiring":
        test: Keys = {"probe": "mlp_reads_attention", "equals": "parallel"}
        return _written(of.name, "Its MLP does not read what attention adds.", "wiring", test, {"models": ["gptj"]})
    if of.name == "rotation":
        test = {"probe": "stream_reads_rotation", "equals": "pattern"}
        return _written(of.name, "Rotation reaches attention's pattern alone.", "wiring", test, {"models": ["gptj"]})
    reading = next((METRICS[name] for name in METRICS if METRICS[name].reads == of.name), None)
    return "" if reading is None else example_of_metric(reading)


def _forms(of: Statistic) -> Iterator[tuple[dict[str, Any], Keys]]:
    """Yield tests without a prediction that a statistic may take, with the keys beside them, the most usual first."""
    one, several = {"models": [MODEL]}, {"models": [FAMILY]}
    own = of.takes.by_category and other_statistic(of.name) is None  # the second variable is a number of each category
    pair = ["last_gain", "total_amplification" if of.takes.difference else "output_entropy"]
    pair = ["last_gain", "prompt_complexity"] if own else pair
    for beside in (several if of.takes.over_models else one, {**several, "for": "pooled"}, {}):
        yield {"of": "last_gain"}, beside
        yield {"of": "last_gain", "holds": "> 1"}, beside
        yield {"of": "layer_gain", "holds": "> 1"}, beside
        yield {"of": pair}, beside
        yield {"of": pair, "holds": "> 1"}, beside
        yield {"of": [*pair, "prompt_length"]}, beside
        yield {"of": "last_gain", "groups": GROUPS}, beside
        yield {"of": "last_gain", "categories": CATEGORIES}, beside
        yield {"of": "layer_gain"}, beside


def _accepts(evidence: str, test: Keys, beside: Keys) -> bool:
    try:
        CLAIM.validate_python({"id": "example", "statement": "s", "evidence": evidence, "test": test, **beside})
    except ValidationError:
        return False
    return True


def _beyond(ends: tuple[float, float]) -> str:
    """Return a prediction that values in a range may meet and may miss."""
    low, high = ends
    if math.isfinite(low) and math.isfinite(high):
        return f"> {(low + high) / 2:g}"
    return "> 0" if math.isinf(low) else f"> {low + 1:g}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _said(predicts: str) -> str:
    sign, _, number = predicts.partition(" ")
    return f"{'at least' if sign == '>=' else 'above'} {number}"


def _written(name: str, statement: str, evidence: str, test: Keys, beside: Keys) -> str:
    """Return a claims file with one claim, in the style of the documentation."""
    claim = {"id": f"about-{name.replace('_', '-')}", "statement": statement, "evidence": evidence, **beside}
    lines = [_line(key, value) for key, value in claim.items()] + [_line("test", dict(test))]
    return "\n".join([f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]) + "\n"


def _line(key: str, value: object) -> str:
    if not isinstance(value, dict | list):
        return f"{key}: {value}"
    flow = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).strip()
    return f"{key}: {flow}"
