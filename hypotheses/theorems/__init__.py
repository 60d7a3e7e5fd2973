"""The theorems of the three documents, one file a subject; fixtures/theorems.py adds them to refutable's own."""

from collections.abc import Iterator

from hypotheses.theorems import blocks, published, rules, sums, updates
from refutable.theorems import Theorem


def all_theorems() -> Iterator[Theorem]:
    """Yield every theorem of the documents."""
    for module in (blocks, published, rules, sums, updates):
        yield from (thing for thing in vars(module).values() if isinstance(thing, Theorem))
