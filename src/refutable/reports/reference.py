"""What metrics, statistics and passes are, as Markdown: for `refutable metrics NAME` and for docs/reference/ alike."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from refutable._util.registry import Registry
from refutable.metrics import GAUGES, METRICS, Gauge, Metric
from refutable.reports.example_claim import example_of_metric, example_of_pass, example_of_statistic
from refutable.statistics import STATISTICS, Statistic
from refutable.statistics.over import CLUSTERED, STRATIFIED
from refutable.traces.passes import PASSES, PROBE_PASSES, PassKind

Kind = Literal["metrics", "statistics", "passes"]
REWRITES: Mapping[Gauge, str] = {
    "norm-scale": "a norm's scale moved into the next matrix",
    "mean-shift": "a constant added along the mean direction",
    "value-output": "values made longer and the output matrix smaller",
}
POSITIONS = {"all": "every token", "last": "the last token alone", "none": "no token: it reads no prompts"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One metric, statistic or pass.

    Attributes:
        name: as claims write it.
        doc: its docstring, as Markdown.
        facts: what else is known of it, by a word or two.
        example: a claim that uses it, as YAML; empty where none can be made.
    """

    name: str
    doc: str
    facts: Mapping[str, str]
    example: str

    @property
    def summary(self) -> str:
        """The first sentence of its docstring, on one line."""
        return first_sentence(self.doc)

    @property
    def markdown(self) -> str:
        """All of it, under a heading of the second level."""
        lines = [f"## {self.name}", "", self.doc, ""]
        lines += [f"- {name}: {text}" for name, text in self.facts.items()]
        if self.example:
            lines += ["", "```yaml", self.example.rstrip("\n"), "```"]
        return "\n".join(lines) + "\n"


def first_sentence(text: str) -> str:
    """Return the first sentence of a text, or its first paragraph where that has one, on one line."""
    paragraph = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    return paragraph.split(". ")[0].rstrip(".") + "." if paragraph else ""


def entry(kind: Kind, name: str) -> Entry:
    """Return what is known of one thing; raises UnknownName with the nearest name where there is none."""
    return _ENTRIES[kind](name)


def entries(kind: Kind) -> Iterator[Entry]:
    """Yield every thing of a kind, by name."""
    return (entry(kind, name) for name in _REGISTRIES[kind])


def reference_page(kind: Kind) -> str:
    """Return the page of the documentation about a kind of things: docs/reference/KIND.md."""
    index = [f"- [`{each.name}`](#{each.name}): {each.summary}" for each in entries(kind)]
    front = [
        f"# {kind.capitalize()}",
        "",
        f"{_ABOUT[kind]} Made from the registry by `refutable {kind} --markdown`; not to be edited.",
        "",
        *index,
    ]
    return "\n".join(front) + "\n\n" + "\n".join(each.markdown for each in entries(kind))


def _metric(name: str) -> Entry:
    of = METRICS[name]
    per = "one value a prompt" if of.per == "prompt" else "one value a prompt and layer: a claim says which `layer:`"
    tokens = "the last token alone" if of.last_only and of.reads == "forward" else ""
    facts = {
        "range": _range(of.range) + (", narrower for a known vocabulary" if of.of_vocabulary else ""),
        "unit": of.unit,
        "values": per,
        "read at": of.tap,
        "pass": f"`{of.reads}`" + (f", {tokens}" if tokens else ""),
        "gauge": _gauge(of),
        "a ratio of two lengths": "yes: `ratio_of_means` and the like take it apart" if of.is_ratio else "",
    }
    return Entry(name, inspect.cleandoc(of.doc), _said(facts), example_of_metric(of))


def _gauge(of: Metric) -> str:
    raw = _moved(of.invariant)
    if not of.has_norm:
        return f"{raw}; it reads no norm, so raw and centred are one"
    return f"raw: {raw}; `norm: centred`: {_moved(of.invariant_centred)}"


def _moved(invariant: Iterable[Gauge]) -> str:
    moving = [REWRITES[each] for each in GAUGES if each not in tuple(invariant)]
    if not moving:
        return "no exact rewrite of the weights moves it"
    return f"moved, without a change of any logit, by {' and by '.join(moving)}"


def _statistic(name: str) -> Entry:
    of = STATISTICS[name]
    facts = {
        "takes": _takes(of),
        "range": "that of its metric" if of.range is None else _range(of.range),
        "error rates hold if": "; ".join((*(each.value for each in of.assumes), *of.caveats)),
        "units": _units(of),
        "every look counts": "its error rates hold for all looks together, however often units are added"
        if of.anytime
        else "",
        "estimand": _estimand(name),
        "power": f"not computed: {of.powerless}" if of.powerless else "",
    }
    return Entry(name, inspect.cleandoc(of.doc), _said(facts), example_of_statistic(of))


def _takes(of: Statistic) -> str:
    takes = of.takes
    if takes.parts:
        what = "one metric that is a ratio of two lengths"
    elif takes.variables == 1:
        what = "one metric, every layer of it" if takes.each_layer else "one metric"
    else:
        what = f"{('', 'two', 'three')[takes.variables - 1]} variables; the last may be a `fact:` of the models"
    told = [what]
    if takes.counts != "never":
        told.append(
            "counting where `holds:` is true" if takes.counts == "always" else "of layers, the share that `holds:`"
        )
    if takes.compares is not None:
        told.append("two groups of models" if takes.compares == "groups" else "two groups of categories of prompts")
    if takes.by_category:
        told.append("prompts with categories")
    if takes.over_models or takes.pools:
        told.append("several models" + (", `for: pooled`" if takes.pools else ""))
    return "; ".join(told)


def _units(of: Statistic) -> str:
    told = [f"at least {of.least}"] if of.least > 1 else []
    if of.calibrated_from > 1:
        told.append(f"error rates known from {of.calibrated_from}")
    if of.skewed_from is not None:
        told.append(
            f"also for skewed values from {of.skewed_from}"
            + (f" (at alpha {of.skewed_alpha:g} or more)" if of.skewed_alpha else "")
        )
    if of.least_alpha:
        told.append(f"at alpha {of.least_alpha:g} or more")
    return ", ".join(told)


def _estimand(name: str) -> str:
    for plain, other in STRATIFIED.items():
        if other == name and plain != name:
            return f"what `{plain}` is over these categories (`over: these_categories`)"
    for plain, other in CLUSTERED.items():
        if other == name:
            return f"what `{plain}` is over categories like these (`over: categories_like_these`)"
    forms = [f"`{form[name]}`" for form in (STRATIFIED, CLUSTERED) if form.get(name, name) != name]
    return f"where prompts have categories, {' or '.join(forms)} takes its place, as `over:` says" if forms else ""


def _pass(name: str) -> Entry:
    of = PASSES[name]
    metrics = [f"`{each}`" for each in METRICS if METRICS[each].reads == name]
    facts = {
        "tokens": POSITIONS[of.positions],
        "metrics": ", ".join(metrics),
        "under an intervention": "yes" if of.changeable else "no",
        "claims on it": f"`evidence: {_evidence(of)}`",
        "the last block alone": "where a claim asks for `layer: last`" if of.one_block else "",
        "the first token": _first(of),
        "settings": ", ".join(f"{key} {value:g}" for key, value in of.parameters.items() if key != "version"),
    }
    return Entry(name, of.doc, _said(facts), example_of_pass(of))


def _evidence(of: PassKind) -> str:
    return "wiring" if of.name in PROBE_PASSES else "dynamical" if of.dynamic else "measured"


def _first(of: PassKind) -> str:
    if of.first_token is None:
        return ""
    other = "without" if of.first_token == "with" else "with"
    return f"{'counts' if of.first_token == 'with' else 'does not count'}, unless a claim says `first_token: {other}`"


def _said(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in facts.items() if text}


def _range(ends: tuple[float, float]) -> str:
    low, high = ends
    if math.isinf(low) and math.isinf(high):
        return "any number"
    return f"at least {low:g}" if math.isinf(high) else f"[{low:g}, {high:g}]"


_ENTRIES: Mapping[Kind, Callable[[str], Entry]] = {"metrics": _metric, "statistics": _statistic, "passes": _pass}
_REGISTRIES: Mapping[Kind, Registry[Metric] | Registry[Statistic] | Registry[PassKind]] = {
    "metrics": METRICS,
    "statistics": STATISTICS,
    "passes": PASSES,
}
_ABOUT: Mapping[Kind, str] = {
    "metrics": "What a claim's `of:` can name: functions of what a pass leaves, one value a prompt (and layer).",
    "statistics": "What a claim's `statistic:` can name: values to an estimate with bounds.",
    "passes": "What is run over a model for a claim's metrics; each metric says which pass it reads.",
}
