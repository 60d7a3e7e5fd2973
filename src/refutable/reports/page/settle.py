"""What would change a verdict, in words: how far its interval is from the threshold, and what flips it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from refutable._util.text import few, plural
from refutable.reports.page.axis import region_of
from refutable.reports.page.words import FACT, PROBE, REASON, TABLE, number, origin_of
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import UNVERIFIED_FACT, Verdict

_POWER = ("smallest effect", "n that would decide", "power")


def changes_of(row: VerdictRow) -> list[str]:
    """Return what would change a verdict, a sentence a line."""
    return [f"{line[0].upper()}{line[1:]}." for line in _changes(row)]


def _changes(row: VerdictRow) -> Iterator[str]:
    match row.verdict:
        case Verdict.NOT_MEASURED:
            yield row.why.rstrip(".")
            return
        case Verdict.ERROR:
            yield "nothing was decided: the run reports a fault, and says which"
            return
        case Verdict.INCONCLUSIVE:
            yield from _settling(row)
        case _:
            yield from _distance(row)
    yield from _flips(row)
    origin = origin_of(row)
    if origin is TABLE:
        yield "the recorded number is one, without spread: values a prompt would give it an error rate, or overturn it"
    elif UNVERIFIED_FACT in row.labels:
        yield "a second independent public source that states the fact, or one that states another"
    elif origin is FACT:
        yield "another configuration: nothing is estimated here"
    elif origin is PROBE:
        yield "a forward pass that is wired differently: nothing is estimated here"
    elif origin is REASON:
        yield (
            "nothing, as it is written: the counter-example stands; a narrower statement is another claim"
            if row.verdict is Verdict.REFUTED
            else "a counter-example, or a fault in the proof"
            if row.verdict is Verdict.SUPPORTED
            else "a proof, or a counter-example: none was found in the inputs that were tried"
        )


def _settling(row: VerdictRow) -> Iterator[str]:
    estimate, details = row.estimate, row.details
    if estimate is not None and (needed := details.get("n that would decide")):
        yield f"more units: {needed}; it has {estimate.n} {plural(estimate.unit)}"
    if smallest := details.get("smallest effect"):
        yield f"a larger effect: the smallest that this sample could see is {smallest}"
    if power := details.get("power"):
        yield f"its power {power}"


def _distance(row: VerdictRow) -> Iterator[str]:
    """Yield how far the nearest end of the interval is from the threshold that it would have to cross."""
    estimate, region = row.estimate, region_of(row.predicts)
    if estimate is None or region is None or estimate.level is None:
        return
    supported = row.verdict is Verdict.SUPPORTED
    ends = [end for end in (region.low, region.high) if math.isfinite(end)]
    gaps = [
        (abs(bound - end), bound, end)
        for bound in (estimate.low, estimate.high)
        for end in ends
        if bound is not None and math.isfinite(bound)
    ]
    if not gaps:
        return
    gap, bound, end = min(gaps)
    word = "inconclusive" if gap else "a matter of rounding"
    side = "inside" if supported else "outside"
    yield (
        f"its interval lies {side} by {number(gap)}: from the bound {number(bound)} to the threshold {number(end)};"
        f" data that moved the bound past it would make it {word}"
    )


def _flips(row: VerdictRow) -> Iterator[str]:
    same = {name: one for name, one in row.variations.items() if "over" not in one.changes}  # others ask another thing
    others = [name for name, one in same.items() if one.differs(row.verdict)]
    looked = sum(one.verdict.looked for one in same.values())
    if others:
        yield f"the choice of test: {len(others)} of {looked} variations come out differently ({few(others)})"
    elif looked:
        told = "its one variation comes" if looked == 1 else f"all its {looked} variations come"
        yield f"no other choice of test: {told} out {row.verdict.value}"


def power_of(row: VerdictRow) -> list[tuple[str, str]]:
    """Return what is known of a verdict's power: smallest effect, units that would decide, labels of feasibility."""
    known = [(name, row.details[name]) for name in _POWER if name in row.details]
    words = ("unsupportable", "unrefutable", "hopeless")
    return known + [("with so few units", label) for label in row.labels if label.startswith(words)]
