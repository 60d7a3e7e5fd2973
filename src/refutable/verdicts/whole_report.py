"""Multiplicity of a whole report: how many decided verdicts have an error rate, and how many survive adjustment.

A verdict has an error rate if a statistical test gave it a p-value, of units enough for its rates to be known. A
look-up, a probe, a proof and a counter-example have none, and are counted apart. Holm and Benjamini-Hochberg are
applied over all verdicts that have a p-value, decided or not, twice: over those that were measured, and over every case
of the claims file that a test would decide, the unmeasured as p = 1. p-values of the predictions and of their opposites
are adjusted separately, as in a family.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from refutable._util.text import counted
from refutable.claims import MeasuredClaim
from refutable.claims.cases import Case
from refutable.statistics.stepwise import benjamini_hochberg, holm
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

KEY = "tested_cases"  # in a run's provenance: what a test would decide, whatever was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Surviving:
    """How many decided verdicts stand after adjustment over `members` p-values."""

    members: int
    holm: int
    benjamini_hochberg: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeReport:
    """The multiplicity of a report.

    Attributes:
        decided: its decided verdicts.
        with_error_rate: those of them that have a p-value, and are not labelled uncalibrated.
        measured: what survives over the verdicts that have a p-value.
        declared: the same with the unmeasured cases counted as p = 1; None if the run did not say how many there are.
    """

    decided: int
    with_error_rate: int
    measured: Surviving
    declared: Surviving | None


def cases_with_a_test(cases: Iterable[Case]) -> int:
    """Return how many cases a statistical test decides, if they are measured."""
    return sum(isinstance(case.claim, MeasuredClaim) for case in cases)


def over_report(rows: Iterable[VerdictRow], tested: int | None) -> WholeReport:
    """Return the multiplicity of a report's verdicts, of which `tested` cases were declared."""
    rows = tuple(rows)
    with_p = [row for row in rows if row.has_p]
    return WholeReport(
        decided=sum(row.decided for row in rows),
        with_error_rate=sum(row.has_error_rate for row in with_p),
        measured=_surviving(with_p, len(with_p)),
        declared=None if tested is None else _surviving(with_p, max(tested, len(with_p))),
    )


def report_lines(rows: Iterable[VerdictRow], tested: int | None) -> list[str]:
    """Return the multiplicity of a report in words, a sentence a line; none if fewer than two verdicts are decided."""
    whole = over_report(rows, tested)
    if whole.decided < 2:
        return []
    lines = [
        f"{whole.with_error_rate} of {counted(whole.decided, 'decided verdict')} with a known error rate; look-ups,"
        " probes, proofs, counter-examples and too few units have none"
    ]
    if whole.with_error_rate:
        over = f"of the {whole.with_error_rate}, over {counted(whole.measured.members, 'p-value')} of this report"
        lines.append(f"{over}: {_told(whole.measured)}")
        if whole.declared is not None and whole.declared.members > whole.measured.members:
            over = f"over all {whole.declared.members} cases that a test would decide, the unmeasured as p = 1"
            lines.append(f"{over}: {_told(whole.declared)}")
    return lines


def _told(one: Surviving) -> str:
    return f"{one.holm} stand after Holm, {one.benjamini_hochberg} after Benjamini-Hochberg"


def _surviving(rows: Sequence[VerdictRow], members: int) -> Surviving:
    """Count the decided rows whose adjusted p-value is at most their claim's alpha."""
    stand = {"holm": 0, "benjamini_hochberg": 0}
    for name, verdict in (("p", Verdict.SUPPORTED), ("p_refuted", Verdict.REFUTED)):
        found = [getattr(row.estimate, name) for row in rows]
        p = np.array([1.0 if one is None else one for one in found] + [1.0] * (members - len(rows)))
        if not len(p):
            continue
        for method, adjusted in (("holm", holm(p)), ("benjamini_hochberg", benjamini_hochberg(p))):
            stand[method] += sum(
                row.has_error_rate and row.verdict is verdict and bool(one <= row.about["alpha"])
                for row, one in zip(rows, adjusted[: len(rows)], strict=True)
            )
    return Surviving(members=members, **stand)
