"""Whether a verdict counts the first token and the first block, in words."""

from __future__ import annotations

from refutable.claims import MeasuredTest
from refutable.traces.passes import EACH_TOKEN

READ = {"with": "counted", "without": "left out"}
CHANGED = {"with": "changed like the others", "without": "spared the change"}


def firsts_told(test: MeasuredTest) -> dict[str, str]:
    """Return what a test makes of the first token and the first block, by name; nothing where neither could count."""
    told = {}
    if test.counts_first:
        *read, last = test.counts_first
        ends = CHANGED[last] if test.under in EACH_TOKEN else READ[last]
        told["first token"] = ", ".join(dict.fromkeys([*(READ[one] for one in read), ends]))
    if test.over_layers:
        told["first block"] = READ[test.first_block or "with"]
    return told
