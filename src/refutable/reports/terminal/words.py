"""The words for verdicts, and what they look like."""

from __future__ import annotations

from refutable.verdicts.verdict import Verdict

COLOURS = {
    Verdict.SUPPORTED: "green",
    Verdict.REFUTED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.ERROR: "bold magenta",
}
ORDER = (Verdict.ERROR, Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.SUPPORTED)
"""What a reader wants to see first."""
