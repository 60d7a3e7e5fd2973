"""On which prompts a published table was made, and whether a claim is about those."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from refutable.claims.measured import DEFAULT_PROMPTS
from refutable.errors import NotMeasured
from refutable.prompts.find import known_sets
from refutable.prompts.prompt_set import PromptSet, spoken


def check_prompts(held: str, made_on: str, texts: Sequence[str], prompts: PromptSet) -> None:
    """Refuse a table that was made on other prompts than those of a claim.

    A claim that names a prompt set is about all of its texts and no others. A claim on the default set names none: it
    is judged on whatever prompts a table was made on, unless these are another set that is known by name.

    Args:
        held: what the table holds of which model, for the message.
        made_on: the prompt set that the table says it was made on, or an empty text.
        texts: its prompts, each as often as it has rows; none if the table does not show them.
        prompts: the claim's own set.

    Raises:
        NotMeasured: it was made on other prompts, on a part of the claim's, or nobody knows on which.
    """
    wanted = frozenset(spoken(prompt.text) for prompt in prompts.prompts)
    shown = frozenset(map(spoken, texts))
    if made_on and made_on != prompts.name:
        raise NotMeasured(f"{held} on the prompts {made_on!r}, not on {prompts.name!r}")
    if shown == wanted:
        return
    if shown:
        if not made_on and (known := _named(shown)):
            raise NotMeasured(f"{held} on the prompts of {known!r}, not on {prompts.name!r}")
        if made_on or prompts.name != DEFAULT_PROMPTS:
            part = f"{len(shown & wanted) or 'none'} of them among the {len(wanted)} of {prompts.name!r}"
            raise NotMeasured(f"{held} on {len(shown)} prompts, {part}")
    elif not made_on and prompts.name != DEFAULT_PROMPTS:
        raise NotMeasured(
            f"{held} on prompts that it does not show, not known to be {prompts.name!r}; if they are, say `prompts:` in"
            " a --measurements-map"
        )


@functools.lru_cache(maxsize=64)
def _named(texts: frozenset[str]) -> str:
    """Return the name of the known prompt set, or half of one, that has exactly these texts; empty without one."""
    found = (known for known in known_sets() if len(known) == len(texts))
    same = (known.name for known in found if {spoken(prompt.text) for prompt in known.prompts} == texts)
    return next(same, "")
