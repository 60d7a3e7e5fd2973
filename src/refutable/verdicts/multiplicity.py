"""Families of claims: p-values adjusted together by Holm and by Benjamini and Hochberg.

A family is what was declared (`family:` on claims; with `for: each`, every subject is a member), whatever a run
selects: a member that was not measured counts as p = 1. Verdicts use the raw alpha. SUPPORTED and REFUTED err
separately, so the p-values of the prediction and of its opposite are adjusted separately. Holm (1979) bounds the
probability of any false verdict in the family by alpha, whatever the dependence; Benjamini and Hochberg (1995) bound
the expected share of false ones, under independence or positive dependence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from refutable.claims import MeasuredClaim
from refutable.claims.cases import Case
from refutable.statistics.stepwise import benjamini_hochberg, holm
from refutable.verdicts.row import Adjusted, VerdictRow
from refutable.verdicts.verdict import Verdict

NOT_AFTER_HOLM = "not after Holm"
KEY = "families"  # in a run's provenance, so that the journal alone names the members

Families = Mapping[str, Sequence[str]]


def declared(cases: Iterable[Case]) -> dict[str, list[str]]:
    """Return the ids of the members of each family, in the order of the claims."""
    families: dict[str, list[str]] = {}
    for case in cases:
        if isinstance(case.claim, MeasuredClaim) and case.claim.family is not None:
            families.setdefault(case.claim.family, []).append(case.id)
    return families


def adjust(rows: Iterable[VerdictRow], families: Families) -> tuple[VerdictRow, ...]:
    """Return the rows with their families' adjusted p-values, labelled if a verdict does not survive adjustment.

    Some or all members of a declared family may be missing among the rows.
    """
    by_id = {row.id: _bare(row) for row in rows}
    for name, members in families.items():
        found = [by_id[member] for member in members if member in by_id and by_id[member].has_p]
        for row, adjusted in zip(found, _adjusted(name, len(members), found), strict=True):
            by_id[row.id] = _marked(row, adjusted)
    return tuple(by_id.values())


def family_lines(rows: Iterable[VerdictRow], families: Families) -> list[str]:
    """Return one line of the summary for each family that has a verdict."""
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
    """Return one line per family, to show before anything is measured."""
    alphas = {case.id: case.claim.alpha for case in cases}
    lines = []
    for name, members in declared(cases).items():
        first = min(alphas[member] for member in members) / len(members)
        lines.append(f"family {name}: {len(members)} members; the first that Holm lets stand needs p <= {first:.2g}")
    return lines


def _adjusted(family: str, members: int, rows: Sequence[VerdictRow]) -> list[Adjusted]:
    if not rows:
        return []
    columns = []
    for name in ("p", "p_refuted"):
        found = [getattr(row.estimate, name) for row in rows]
        p = np.array([1.0 if one is None else one for one in found] + [1.0] * (members - len(rows)))
        columns += [adjusted[: len(rows)].tolist() for adjusted in (holm(p), benjamini_hochberg(p))]
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
