"""What each collection of a run's claims came to, told apart."""

from __future__ import annotations

from collections.abc import Iterable

from refutable._util.text import counted
from refutable.verdicts.row import VerdictRow, tally

OTHER = "other claims"


def collection_lines(rows: Iterable[VerdictRow]) -> list[str]:
    """Return a line for each collection that was looked at, with its verdicts; none if they are fewer than two.

    Claims that name no collection are one of their own, `OTHER`.
    """
    of: dict[str, list[VerdictRow]] = {}
    for row in rows:
        if row.verdict.looked:
            of.setdefault(str(row.about.get("collection") or OTHER), []).append(row)
    if len(of) < 2:
        return []
    return [
        f"{name}: {counted(len({row.claim for row in found}), 'claim')}: "
        + ", ".join(f"{n} {verdict}" for verdict, n in tally(found).items())
        for name, found in of.items()
    ]
