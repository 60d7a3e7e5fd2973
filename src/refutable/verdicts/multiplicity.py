"""Families of claims: p-values adjusted together by Holm and by Benjamini and Hochberg.

A family is as it was declared (`family:` on claims, each subject of `for: each` one member), whatever a run selected: a
member that was not measured counts as p = 1. Verdicts keep the raw alpha. The p-values of the prediction and those of
its opposite are adjusted apart, since SUPPORTED and REFUTED err apart. Holm (1979) bounds the probability of one false
verdict in the family by alpha whatever the dependence; Benjamini and Hochberg (1995) the expected share of false ones,
under independence or positive dependence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refutable.claims import MeasuredClaim
from refutable.claims.cases import Case
from refutable.verdicts.row import Adjusted, VerdictRow
from refutable.verdicts.verdict import Verdict

NOT_AFTER_HOLM = "not after Holm"
KEY = "families"  # in a run's provenance: so that a journal alone tells who the members were

Families = Mapping[str, Sequence[str]]


def declared(cases: Iterable[Case]) -> dict[str, list[str]]:
    """Return the ids of the members of each family, in the order of the claims."""
    families: dict[str, list[str]] = {}
    for case in cases:
        if isinstance(case.claim, MeasuredClaim) and case.claim.family is not None:
            families.setdefault(case.claim.family, []).append(case.id)
    return families


def adjust(rows: Iterable[VerdictRow], families: Families) -> tuple[VerdictRow, ...]:
    """Return the rows with the adjusted p-values of their families, and with the label of those that do not survive.

    Args:
        rows: every verdict that the run brought; of a family's members some or none may be among them.
        families: ids of the members of each family, as declared.
    """
    by_id = {row.id: _bare(row) for row in rows}
    for name, members in families.items():
        found = [by_id[member] for member in members if member in by_id and _tested(by_id[member])]
        for row, adjusted in zip(found, _adjusted(name, len(members), found), strict=True):
            by_id[row.id] = _marked(row, adjusted)
    return tuple(by_id.values())


def family_lines(rows: Iterable[VerdictRow], families: Families) -> list[str]:
    """Return what the summary says of each family that has a verdict, one line a family."""
    lines = []
    for name, members in families.items():
        found = [row for row in rows if row.adjusted is not None and row.adjusted.family == name]
        if found:
            stand = " and ".join(_standing(found, verdict) for verdict in (Verdict.SUPPORTED, Verdict.REFUTED))
            lines.append(
                f"family {name}: {len(members)} members, {len(found)} measured, the others count as p = 1; after Holm"
                f" {stand} stand"
            )
    return lines


def describe(cases: Sequence[Case]) -> list[str]:
    """Return one line per family, before anything is measured."""
    alphas = {case.id: case.claim.alpha for case in cases}
    lines = []
    for name, members in declared(cases).items():
        first = min(alphas[member] for member in members) / len(members)
        lines.append(f"family {name}: {len(members)} members; the first that Holm lets stand needs p <= {first:.2g}")
    return lines


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Holm's adjusted p-values, shape and order of `p`.

    Three lines, not statsmodels', which collects the interpreter's garbage on each call (50 ms, without torch loaded).
    """
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def _adjusted(family: str, members: int, rows: Sequence[VerdictRow]) -> list[Adjusted]:
    if not rows:
        return []
    columns = []
    for name in ("p", "p_refuted"):
        found = [getattr(row.estimate, name) for row in rows]
        p = np.array([1.0 if one is None else one for one in found] + [1.0] * (members - len(rows)))
        columns += [adjusted[: len(rows)].tolist() for adjusted in (holm(p), stats.false_discovery_control(p))]
    return [
        Adjusted(
            family=family,
            members=members,
            measured=len(rows),
            holm=for_holm,
            benjamini_hochberg=for_rate,
            holm_refuted=against_holm,
            benjamini_hochberg_refuted=against_rate,
        )
        for for_holm, for_rate, against_holm, against_rate in zip(*columns, strict=True)
    ]


def _tested(row: VerdictRow) -> bool:
    estimate = row.estimate
    return row.verdict.looked and estimate is not None and estimate.p is not None


def _marked(row: VerdictRow, adjusted: Adjusted) -> VerdictRow:
    decisive = {Verdict.SUPPORTED: adjusted.holm, Verdict.REFUTED: adjusted.holm_refuted}.get(row.verdict, 0.0)
    marked = row if decisive <= row.about["alpha"] else row.labelled(NOT_AFTER_HOLM)
    return replace(marked, adjusted=adjusted)


def _bare(row: VerdictRow) -> VerdictRow:
    """Return a row without the label and p-values of an earlier adjustment."""
    labels = tuple(label for label in row.labels if label != NOT_AFTER_HOLM)
    return replace(row, labels=labels, adjusted=None)


def _standing(rows: Sequence[VerdictRow], verdict: Verdict) -> str:
    fallen = [NOT_AFTER_HOLM in row.labels for row in rows if row.verdict is verdict]
    return f"{fallen.count(False)} of {len(fallen)} {verdict.value}"
