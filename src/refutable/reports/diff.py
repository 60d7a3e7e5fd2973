"""The differences between two runs: verdicts, estimates that moved, labels, controls, variations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from refutable._util.text import counted
from refutable.reports.journal import RunResult
from refutable.reports.terminal import COLOURS, interval_text, memory_console, plain_table
from refutable.verdicts.robustness import Control, Variation
from refutable.verdicts.row import HASHES, VerdictRow
from refutable.verdicts.verdict import Estimate, Verdict

BESIDE = ("labels", "controls", "variations")


@dataclass(frozen=True, slots=True)
class Change:
    """One case that differs.

    Attributes:
        kind: ``verdict`` (another one), ``moved`` (the same one, with another estimate), ``other weights`` (the same
            name, measured on other weights), ``only in A`` or ``only in B`` (looked at in one run only), ``error`` (an
            ERROR in the second run), or one of `BESIDE`, if that differs, whether or not the verdict does.
        before: its row in the first run, if any.
        after: its row in the second run, if any.
    """

    kind: str
    before: VerdictRow | None
    after: VerdictRow | None

    @property
    def row(self) -> VerdictRow:
        """The row that names the case: the second run's if it has one."""
        row = self.after or self.before
        assert row is not None
        return row

    @property
    def on(self) -> str:
        """Weights, dtype, prompts and stand-in tokens, if any were read."""
        parts = [self.row.weights.get(name, "") for name in ("weights_kind", "dtype", "prompt_set")]
        tokens = self.row.weights.get("tokens", "")
        return ", ".join(part for part in (*parts, tokens if tokens != "own tokenizer" else "") if part)


def differences(before: RunResult, after: RunResult) -> list[Change]:
    """Return what differs, by claim, subject, weights kind, dtype, tokens and prompts.

    Verdicts on other weights of one name are told as such, as far as both runs have the weights' hash. A case not
    measured, or an ERROR, in both runs is no difference. A fact has no interval: it moved if its value did.
    """
    then = {row.identity: row for row in before.rows if row.verdict.looked}
    now = {row.identity: row for row in after.rows if row.verdict.looked}
    failed = {(row.claim, row.subject): row for row in after.rows if row.verdict is Verdict.ERROR}
    was = {(row.claim, row.subject) for row in before.rows if row.verdict is Verdict.ERROR}
    changes = [Change("error", None, row) for pair, row in failed.items() if pair not in was]
    for key in sorted({*then, *now}):
        old, new = then.get(key), now.get(key)
        if old is None:
            changes.append(Change("only in B", None, new))
        elif new is None:
            changes += [] if key[:2] in failed else [Change("only in A", old, None)]
        elif new.unlike(old):
            changes.append(Change("other weights", old, new))
            continue
        elif old.verdict is not new.verdict:
            changes.append(Change("verdict", old, new))
        elif moved(old.estimate, new.estimate):
            changes.append(Change("moved", old, new))
        if old is not None and new is not None:
            changes += [Change(kind, old, new) for kind in BESIDE if _told(old, kind) != _told(new, kind)]
    order = ("error", "verdict", "moved", "other weights", "only in A", "only in B", *BESIDE)
    return sorted(changes, key=lambda change: (order.index(change.kind), change.row.id, change.on))


def same(changes: list[Change]) -> bool:
    """Whether no verdict and no estimate differs; labels, controls and variations do not count."""
    return all(change.kind in BESIDE for change in changes)


def moved(old: Estimate | None, new: Estimate | None) -> bool:
    """Whether neither interval contains the other's value; without intervals, whether the values differ at all."""
    if old is None or new is None:
        return (old is None) is not (new is None)
    return not (_holds(old, new.value) or _holds(new, old.value))


def _holds(estimate: Estimate, value: float) -> bool:
    if estimate.level is None:
        return math.isclose(estimate.value, value, rel_tol=1e-12, abs_tol=1e-300)
    low = -math.inf if estimate.low is None else estimate.low
    high = math.inf if estimate.high is None else estimate.high
    return low <= value <= high


def as_text(changes: list[Change], *, width: int, colour: bool, most: int | None = None) -> str:
    """Return the differences as a table and a line of counts; deterministic when piped.

    At most `most` rows of each kind are written.
    """
    counts = Counter(change.kind for change in changes)
    table = plain_table()
    for name in ("differs", "case", "on", "A", "B"):
        table.add_column(name, overflow="fold", no_wrap=name == "differs")
    for kind in counts:
        for change in [change for change in changes if change.kind == kind][:most]:
            table.add_row(change.kind, change.row.id, change.on, *_sides(change))
    more = [f"{count - most} more of {kind!r}" for kind, count in counts.items() if most is not None and count > most]
    nothing = ["no verdict changed and no estimate moved"] if same(changes) else []
    told = [f"{kind} of {counted(n, 'case')}" if kind in BESIDE else f"{n} {kind}" for kind, n in counts.items()]
    console = memory_console(width, colour)
    with console.capture() as shown:
        if table.rows:
            console.print(table)
        console.print(", ".join([*nothing, *told, *more]), soft_wrap=True)
    return "".join(f"{line.rstrip()}\n" for line in shown.get().rstrip("\n").split("\n"))


def as_json(before: RunResult, after: RunResult, changes: list[Change]) -> Mapping[str, Any]:
    """Return the differences as plain JSON values, with the start of each run."""
    return {
        "version": 1,
        "a": {"started": before.provenance.get("started"), "claims_hash": before.provenance.get("claims_hash")},
        "b": {"started": after.provenance.get("started"), "claims_hash": after.provenance.get("claims_hash")},
        "same": same(changes),
        "changes": [_plain(change) for change in changes],
    }


def _plain(change: Change) -> dict[str, Any]:
    row = change.row
    named = ("weights_kind", "dtype", "tokens", "prompt_set", "prompt_set_hash", *HASHES)
    return {
        "kind": change.kind,
        "id": row.id,
        "claim": row.claim,
        "subject": row.subject,
        "on": {name: row.weights[name] for name in named if name in row.weights},
        "a": _side(change.before, change.kind),
        "b": _side(change.after, change.kind),
    }


def _side(row: VerdictRow | None, kind: str) -> dict[str, Any] | None:
    names = ("verdict", "estimate", "why", *((kind,) if kind in BESIDE else ()))
    return {name: row.as_dict()[name] for name in names} if row is not None else None


def _told(row: VerdictRow, kind: str) -> frozenset[str]:
    """Return a verdict's labels, or its controls or variations with the verdict of each."""
    if kind == "labels":
        return frozenset(row.labels)
    beside: Mapping[str, Control | Variation] = row.controls if kind == "controls" else row.variations
    return frozenset(f"{name}: {one.verdict.value}" for name, one in beside.items())


def _sides(change: Change) -> tuple[Text, Text]:
    """Return both sides in words; for labels, controls and variations, only what the other side lacks."""
    before, after = change.before, change.after
    if change.kind == "other weights" and before is not None and after is not None:
        names = after.unlike(before)
        return _found(before).append(f", {before.hashes(names)}"), _found(after).append(f", {after.hashes(names)}")
    if change.kind not in BESIDE or before is None or after is None:
        return _found(before), _found(after)
    a, b = _told(before, change.kind), _told(after, change.kind)
    return Text("; ".join(sorted(a - b))), Text("; ".join(sorted(b - a)))


def _found(row: VerdictRow | None) -> Text:
    if row is None:
        return Text()
    estimate = row.estimate
    told = row.why if row.verdict is Verdict.ERROR else interval_text(estimate) if estimate else ""
    return Text.assemble((row.verdict.value, COLOURS.get(row.verdict, "")), f" {told}" if told else "")
