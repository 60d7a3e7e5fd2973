"""The top of the page: the run in one sentence, what changed, counts with an error rate and without, the weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from refutable._util.provenance import with_version
from refutable._util.text import counted, few
from refutable.reports.collections import collection_lines
from refutable.reports.diff import Change, differences
from refutable.reports.journal import RunResult
from refutable.reports.page.answers import MARKS
from refutable.reports.page.claims import table_rows
from refutable.reports.page.words import FACT, PROBE, REASON, TABLE, day, found, models_of, origin_of
from refutable.verdicts.row import VerdictRow, tally
from refutable.verdicts.verdict import UNVERIFIED_FACT, Verdict
from refutable.verdicts.whole_report import KEY, report_lines

_PLURAL = {"is": "are", "has": "have", "was": "were"}
_SHOWN = ("error", "verdict", "moved", "other weights")
_WORDS = {
    "error": "is an ERROR now",
    "verdict": "has another verdict",
    "moved": "has the same verdict with another estimate",
    "other weights": "was measured on other weights",
    "only in A": "was not looked at again",
    "only in B": "is new",
    "labels": "has other labels",
    "controls": "has other controls",
    "variations": "has other variations",
}


@dataclass(frozen=True, slots=True)
class Count:
    """How many cases count as a verdict, or as none for want of a verified fact.

    Attributes:
        verdict: its name.
        mark: its sign.
        number: how many.
        share: their share of those looked at, in per cent; 0 of what was not looked at.
        filter: what shows them in the matrix.
    """

    verdict: str
    mark: str
    number: int
    share: float
    filter: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Decided verdicts of one kind: what decided them, how many are which, and whether their error rate is known."""

    what: str
    supported: int
    refuted: int
    known: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """What changed in one case: how, its claim, its subject, and how it stood and stands."""

    how: str
    claim: str
    case: str
    before: str
    after: str
    verdict: str


@dataclass(frozen=True, slots=True)
class WeightsLine:
    """Models whose numbers have one origin, and that origin in words."""

    models: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Front:
    """The top of the page."""

    when: str
    sentence: str
    run: str
    complete: bool
    counts: tuple[Count, ...]
    collections: tuple[str, ...]
    beside: str
    rates: tuple[Rate, ...]
    multiplicity: tuple[str, ...]
    baseline: str
    changes: tuple[Moved, ...]
    weights: tuple[WeightsLine, ...]
    checks: str
    failed: tuple[tuple[str, str], ...]


def front_of(run: RunResult) -> Front:
    """Return the top of a run's page."""
    looked = [row for row in run.rows if row.verdict.looked]
    told, changes = _baseline(run)
    outcomes = Counter(check.outcome for check in run.checks)
    return Front(
        when=day(run.provenance.get("started")),
        sentence=_sentence(run, looked),
        run=_run(run),
        complete=run.complete,
        counts=_counts(run.rows, len(looked)),
        collections=tuple(collection_lines(run.rows)),
        beside=_beside(run),
        rates=_rates(run.rows),
        multiplicity=tuple(report_lines(run.rows, run.provenance.get(KEY))[1:]),
        baseline=told,
        changes=changes,
        weights=tuple(_weights(looked, run)),
        checks=", ".join(f"{n} {name}" for name, n in outcomes.items()),
        failed=tuple((one.name, one.message) for one in run.checks if one.outcome in ("failed", "error")),
    )


def _sentence(run: RunResult, looked: Sequence[VerdictRow]) -> str:
    claims, models = {row.claim for row in looked}, {model for row in looked for model in models_of(row)}
    if not looked:
        return f"{counted(len(run.rows), 'case')} selected, and none was looked at."
    cases = f" in {counted(len(looked), 'case')}" if len(looked) != len(claims) else ""
    on = f" on {counted(len(models), 'model')}" if models else ""
    left = sum(row.verdict is Verdict.NOT_MEASURED for row in run.rows)
    rest = f"; {left} more cases were not measured" if left else ""
    return f"{counted(len(claims), 'claim')} tried{on}{cases}{rest}."


def _run(run: RunResult) -> str:
    provenance, packages = run.provenance, run.provenance.get("packages", {})
    commit = str(provenance.get("git_commit") or "")[:12]
    dirty = " with changes" if provenance.get("git_dirty") else ""
    parts = [
        str(provenance.get("device") or ""),
        *(with_version(name, packages) for name in ("refutable", "torch", "transformers") if packages),
        f"commit {commit}{dirty}" if commit else "no commit",
    ]
    return ", ".join(filter(None, parts))


def _counts(rows: Iterable[VerdictRow], looked: int) -> tuple[Count, ...]:
    found = tally(rows)
    unseen = (Verdict.NOT_MEASURED, Verdict.ERROR)
    return tuple(
        Count(
            name,
            MARKS[Verdict(name)] if name in MARKS else "~",
            n,
            round(100 * n / looked, 2) if looked and name not in unseen else 0.0,
            f"label={name}" if name == UNVERIFIED_FACT else f"verdict={name}",
        )
        for name, n in found.items()
    )


def _rates(rows: Iterable[VerdictRow]) -> tuple[Rate, ...]:
    """Return decided verdicts by what decided them, those at a known error rate first."""
    found: dict[str, Counter[Verdict]] = {}
    for row in rows:
        if row.verdict.decided:
            found.setdefault(_decided_by(row), Counter())[row.verdict] += 1
    order = sorted(found, key=lambda what: (what != _KNOWN, -found[what].total()))
    return tuple(
        Rate(what, found[what][Verdict.SUPPORTED], found[what][Verdict.REFUTED], what == _KNOWN) for what in order
    )


_KNOWN = "statistical tests at a known error rate"


def _decided_by(row: VerdictRow) -> str:
    if not row.decided:
        return "facts that nobody verified: no decision"
    if row.has_error_rate:
        return _KNOWN
    names = {
        FACT.key: "look-ups of facts",
        PROBE.key: "probes of the wiring",
        REASON.key: "proofs and counter-examples",
        TABLE.key: "recorded numbers without spread",
    }
    return names.get(origin_of(row).key, "tests of too few units for their error rate to be known")


def _baseline(run: RunResult) -> tuple[str, tuple[Moved, ...]]:
    """Return how the run compares with its baseline, in a sentence, and the cases that changed."""
    baseline = run.beside.baseline
    if baseline is None:
        return "", ()
    changes = differences(baseline, run)
    counts = Counter(change.kind for change in changes)
    of = f"the baseline of {day(baseline.provenance.get('started'))}"
    parts = [f"{counted(counts[kind], 'case')} {_words(kind, counts[kind])}" for kind in _WORDS if counts[kind]]
    told = f"No verdict changed against {of}" if not counts["verdict"] and not counts["error"] else f"Against {of}"
    return f"{told}{': ' if parts else ''}{'; '.join(parts)}.", moved_of(changes, _SHOWN)


def moved_of(changes: Iterable[Change], kinds: Sequence[str]) -> tuple[Moved, ...]:
    """Return the changes of some kinds, as the page shows them."""
    return tuple(
        Moved(_WORDS[one.kind], one.row.claim, one.row.id, _stood(one.before), _stood(one.after), one.row.verdict.value)
        for one in changes
        if one.kind in kinds
    )


def _stood(row: VerdictRow | None) -> str:
    return "" if row is None else f"{row.verdict.value} {found(row.estimate)}".strip()


def _beside(run: RunResult) -> str:
    """Return the verdicts on published tables, counted."""
    return ", ".join(f"{n} {name.lower()}" for name, n in tally(table_rows(run)).items())


def _weights(rows: Iterable[VerdictRow], run: RunResult) -> Iterable[WeightsLine]:
    """Yield a line for each kind of weights behind the verdicts, with the models that have them."""
    told: dict[tuple[str, str], dict[str, None]] = {}
    for row in (*rows, *table_rows(run)):
        if "weights_detail" in row.weights:
            parts = (row.weights.get(name, "") for name in ("weights_detail", "dtype", "device_title", "tokens"))
            names = dict.fromkeys(row.weights.get("models", row.subject).split(", "))
            told.setdefault((row.weights_kind, ", ".join(filter(None, parts))), {}).update(names)
    for (kind, detail), models in told.items():
        yield WeightsLine(few(list(models), most=6), kind, detail)


def _words(kind: str, count: int) -> str:
    """Return what is said of so many cases of one kind of difference."""
    verb, _, rest = _WORDS[kind].partition(" ")
    return f"{verb if count == 1 else _PLURAL[verb]} {rest}"
