"""What the page calls things: origins of numbers, kinds of evidence, subjects, numbers, labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refutable._util.text import counted
from refutable.models.subject import WeightsKind
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an answer comes from; each has a mark of its own on the page.

    Attributes:
        key: one word, the mark's and the filter's name.
        name: in words.
        about: in a sentence.
    """

    key: str
    name: str
    about: str


MEASURED = Origin("measured", "measured", "prompts were run through a model's trained weights here")
TWIN = Origin("twin", "twin", "models that this project trained, alike in all but one factor")
TABLE = Origin("table", "published table", "numbers that somebody printed; not measured here, so without an error rate")
DRAWN = Origin("drawn", "initialisation", "freshly drawn weights; the seed is the unit")
PROBE = Origin("probe", "probe", "something was changed in a small instance, to see what reads it")
FACT = Origin("fact", "look-up", "a model's configuration says so, or says otherwise")
REASON = Origin("reason", "mathematics", "a proof or a counter-example")
ORIGINS = (MEASURED, TWIN, TABLE, DRAWN, PROBE, FACT, REASON)

EVIDENCE = {
    "measured": "prompts through a model's weights",
    "initialization": "freshly drawn weights",
    "intervention": "a model changed in its forward pass",
    "dynamical": "how small changes grow",
    "architecture": "a fact of the configuration",
    "wiring": "a probe of the wiring",
    "theorem": "mathematics",
    "causal": "twins that differ in one factor",
    "none": "nothing could test it",
}

_LABELS = {
    "vacuous": "any data would give this verdict",
    "holds-at-initialisation": "freshly drawn weights support it too, so training is not what it shows",
    "undecided-at-initialisation": "freshly drawn weights neither support nor refute it",
    "fragile": "some declared variation of the test gives another verdict",
    "gauge-dependent": "forms of the number that differ in no function of the model disagree",
    "gauge": "this number changes when the weights are rewritten without changing what the model computes",
    "unverified-fact": "turns on a fact that fewer than two independent public sources state",
    "unsupportable": "so few units can never support it",
    "unrefutable": "so few units can never refute it",
    "hopeless": "so few units can neither support nor refute it",
    "not after Holm": "does not stand once its family of claims is adjusted for",
    "layers-disagree": "some layers are proved to lie inside and others outside: the mean hides it",
    "uncalibrated": "so few units that the stated error rate is not known to hold",
    "skewed": "the values are skewed, which this interval does not allow for",
    "these-categories-only": "speaks of these categories alone: its statistic has no version over others like them",
    "runs-missing": "some training runs were begun and have no outcome: those that are left may be the lucky ones",
    "margin-beyond-all-runs": "no two runs of the experiment differ by as much as the prediction allows",
    "one-unit-decides": "one unit lies so far from the others that it alone gives the line its slope",
    "clustered": "values of one category are alike, so there are fewer independent ones than it looks",
    "recorded": "how the author's own number compares",
    "look": "tried before on fewer prompts, so its error rate is higher than alpha",
}


def origin_of(row: VerdictRow) -> Origin:
    """Return where a verdict's evidence comes from."""
    match row.about.get("evidence"):
        case "architecture":
            return FACT
        case "theorem":
            return REASON
        case "wiring":
            return PROBE
    kind = row.weights_kind
    if kind == WeightsKind.PUBLISHED:
        return TABLE
    if kind.startswith("twin"):
        return TWIN
    return DRAWN if kind == WeightsKind.INITIALISATION else MEASURED


def models_of(row: VerdictRow) -> list[str]:
    """Return the models that a verdict is on; none for mathematics."""
    return [] if row.subject in ("-", "") else row.subject.split(", ")


def subject_of(row: VerdictRow) -> str:
    """Return what a verdict is on, in a few words: ``gpt2``, ``all of 8 models``, ``mathematics``."""
    models = models_of(row)
    if not models:
        return "mathematics"
    scope = str(row.about.get("for") or "")
    if scope in ("all", "any") and len(models) > 2:
        return f"{scope} of {len(models)} models"
    if scope == "majority":
        return f"most of {len(models)} models"
    if scope in ("groups", "models", "pooled") and len(models) > 2:
        return f"{len(models)} models {'compared' if scope == 'groups' else 'together'}"
    return " and ".join(models) if len(models) <= 2 else f"{len(models)} models"


def number(value: float | None) -> str:
    """Return a number with four digits, or an empty text."""
    return "" if value is None else f"{value:.4g}".replace("-", "−")


def found(estimate: Estimate | None) -> str:
    """Return an estimate with its interval: ``1.065 [1.06, 1.07]``."""
    if estimate is None:
        return ""
    if estimate.level is None and (estimate.low is None or estimate.high is None):
        return number(estimate.value)
    return f"{number(estimate.value)} {estimate.ends.replace('-', '−')}"


def units(estimate: Estimate | None) -> str:
    """Return how many units an estimate is of: ``25 prompts``; empty where there are none to count."""
    if estimate is None or estimate.statistic == "fact":
        return ""
    return "recorded values" if estimate.unit == "census" else counted(estimate.n, estimate.unit)


def kind_of_label(label: str) -> str:
    """Return a label without its numbers and its model: ``uncalibrated`` of ``gpt2: uncalibrated below n = 12``."""
    for known in sorted(_LABELS, key=len, reverse=True):
        if known in label:
            return known
    return label


def told_of_label(label: str) -> str:
    """Return what a label means, or an empty text for one of an extension."""
    return _LABELS.get(kind_of_label(label), "")


def day(started: object) -> str:
    """Return a time as a day and a time in words, or as it is where it is none."""
    try:
        when = datetime.fromisoformat(str(started))
    except ValueError:
        return str(started or "an unknown day")
    return f"{when.day} {when:%B %Y}, {when:%H:%M} {when.tzname() or ''}".strip()
