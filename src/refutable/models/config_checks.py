"""What is refused of a configuration before a network of it is built."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from refutable._util.text import shortened
from refutable.errors import BadInput
from refutable.models.config import Config
from refutable.models.config_facts import EXPERTS, FACTS, INNER, LAYERS, MOST, number
from refutable.models.families import Family


def check_config(family: Family, config: Config) -> None:
    """Refuse a configuration of which no model can be built, before one is: it would take hours, or all memory.

    Raises:
        BadInput: a size or a fact is something else than a number in its bounds; the message names the key.
    """
    for fact in FACTS.values():
        with suppress(KeyError):
            fact(family, config)
    for key in (*INNER, *EXPERTS):
        if config.get(key) is not None:
            number(config, (key,))
    _check_attention_types(config.get("attention_types"))


def _check_attention_types(value: Any) -> None:
    """Refuse GPT-Neo's list of kinds and how often each is repeated, if it is none or makes too many blocks."""
    if value is None:
        return
    most = MOST[LAYERS]
    try:
        blocks = sum(len(kinds) * times for kinds, times in value if type(times) is int and times >= 0)
        is_list = all(type(times) is int for _, times in value)
    except (TypeError, ValueError):
        blocks, is_list = 0, False
    if not is_list or blocks > most:
        raise BadInput(
            f"attention_types must be a list of [[kind, ...], times] of at most {most:,} blocks"
            f" (got {shortened(repr(value))})"
        )
