"""What would settle an INCONCLUSIVE verdict: a larger sample, models that were not looked at, or nobody can say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from refutable._util.text import few
from refutable.verdicts.row import VerdictRow

_NEEDED = "n that would decide"  # the details of `statistics.power.outlook`
_UNKNOWN = "cannot be said: "
_MODELS = 4  # named; the others are counted
_SAMPLE = re.compile(r"needs (?:(\d+) to )?(over )?(\d+) (\w+)")


class Settling(NamedTuple):
    """What would settle a verdict.

    Attributes:
        title: in words that claims share.
        own: what is its own of it, empty if nothing is.
        told: both in full.
    """

    title: str
    own: str
    told: str


def what_would_settle(row: VerdictRow) -> Settling:
    """Return what would settle an undecided verdict."""
    if models := _lacking(row):
        told = f"settled by looking at {few(models, _MODELS)}: --model NAME"
        return Settling("settled by models that were not looked at, --model NAME", "", told)
    if needed := row.details.get(_NEEDED):
        needed = needed.partition(" (")[0].replace("more than", "over")
        sample = f"needs {needed.partition('; ')[0]}"
        return Settling("settled by a larger sample", in_common([sample])[0], f"needs {needed}")
    power = row.details.get("power", "")
    if power.startswith(_UNKNOWN):
        title = "what n would settle it cannot be said"
        return Settling(title, "", f"{title}: {power.removeprefix(_UNKNOWN)}")
    return Settling("not settled, for a reason of its own", row.why, row.why)


def in_common(needs: Iterable[str]) -> list[str]:
    """Return what several cases need, each once; larger samples of one unit as one range."""
    told: dict[str, None] = {}
    ranges: dict[str, list[tuple[int, bool]]] = {}
    for text in needs:
        if sample := _SAMPLE.fullmatch(text):
            low, over, high, unit = sample.groups()
            ranges.setdefault(unit, []).extend([(int(high), bool(over)), *([(int(low), False)] if low else [])])
        else:
            told[text] = None
    for unit, ends in ranges.items():
        (low, over_low), (high, over_high) = min(ends), max(ends)
        least = "" if (low, over_low) == (high, over_high) else f"{low} to "
        told[f"needs {least}{'over ' if over_high else ''}{high} {unit}"] = None
    return [*told]


def _lacking(row: VerdictRow) -> list[str]:
    """Return the models that a claim about several is about, and that were not looked at."""
    named = row.details.get("lacking", "none")
    if named not in ("none", ""):
        return named.split(", ")
    return [model for model in row.subject.split(", ") if row.details.get(model, "").startswith("NOT_MEASURED")]
