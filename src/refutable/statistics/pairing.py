"""Pairs values by the text of their prompts, never by position."""

from __future__ import annotations

from dataclasses import replace

from refutable.errors import NotMeasured
from refutable.statistics.sample import Sample


def minus(first: Sample, second: Sample) -> Sample:
    """Return the first sample minus the second, for the prompts that both have, in the first's order.

    Args:
        first: values of shape (n,) or (n, layers), with the text of each row's prompt.
        second: the same for another model or dtype.

    Raises:
        NotMeasured: the rows of either have no text, or no prompt is in both.
    """
    if not first.prompts or not second.prompts:
        raise NotMeasured(f"the values of {first.of} do not say of which prompt each is, so they cannot be paired")
    at = {text: row for row, text in enumerate(second.prompts)}
    kept = [row for row, text in enumerate(first.prompts) if text in at]
    if not kept:
        raise NotMeasured(f"the values of {first.of} are of other prompts: none is in both, so nothing pairs")
    texts = tuple(first.prompts[row] for row in kept)
    return replace(
        first,
        values=first.values[kept] - second.values[[at[text] for text in texts]],
        clusters=tuple(first.clusters[row] for row in kept) if first.clusters else (),
        prompts=texts,
    )
