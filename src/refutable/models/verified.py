"""Which facts of a model are verified: two independent public sources state every key that the fact is read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from refutable.models.config import Config
from refutable.models.config_facts import HEAD_DIM, HEADS, KEY_HEADS, LAYERS, WIDTH, fact_of
from refutable.models.families import Family
from refutable.models.init_rules import RULES
from refutable.models.registry_facts import CORPORA, ROTARY_DEFAULTS, ROW_FACTS, Row
from refutable.models.row import ModelRow
from refutable.models.sources import Source, independent

STATED = ("organisation", "corpus", "tokenizer", "init")  # keys of a row that facts are read from
COUNTED = (  # the keys that decide a network's number of parameters; tests/models/test_registry.py counts them
    *("vocab_size", *LAYERS, *WIDTH, *HEADS, *KEY_HEADS, *HEAD_DIM),
    *("intermediate_size", "ffn_dim", "n_inner", "max_position_embeddings", "n_positions"),
    *("word_embed_proj_dim", "tie_word_embeddings", "multi_query", "bias", "attention_bias", "mlp_bias"),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a fact of a model stands on.

    Attributes:
        origin: where it was read, when that is not the registry.
        sources: what states a key of it.
        unconfirmed: keys, or entries of a table, that fewer than two independent sources state.
        fallback: where the registry's row says that its values come from.
    """

    origin: str | None
    sources: tuple[Source, ...]
    unconfirmed: tuple[str, ...]
    fallback: str

    @property
    def verified(self) -> bool:
        """Whether everything that the fact is read from is confirmed."""
        return not self.unconfirmed

    def __str__(self) -> str:
        places = [self.origin, *dict.fromkeys(map(str, self.sources))]
        told = "; ".join(filter(None, places)) or f"registry: {self.fallback}"
        lacking = ", ".join(self.unconfirmed)
        return told if self.verified else f"{told}; unverified: {lacking} (fewer than two independent sources)"


def standing(fact: str, row: ModelRow, *, own_config: bool = False) -> Standing:
    """Return what a fact stands on.

    Args:
        fact: its name.
        row: the model.
        own_config: whether the configuration at hand is the model's own, and not the registry's.

    Raises:
        UnknownName: there is no fact of that name.
        NotMeasured: the registry does not hold it.
    """
    row.fact(fact)
    if row.stand_in or row.twin:
        return Standing(f"registry: {row.config_source}", (), (), row.config_source)
    directly = _saying(row, fact, row.fact(fact))
    if independent(directly):
        return Standing(None, directly, (), row.config_source)
    read = keys_read(fact, row)
    of_config = {key: value for key, value in read.items() if key in row.config}
    needed = {key: value for key, value in read.items() if not own_config or key not in of_config}
    entries: dict[str, tuple[Source, ...]] = {key: _saying(row, key, value) for key, value in needed.items()}
    entries.update(_tables(fact, row))
    return Standing(
        origin="its own configuration" if own_config and of_config else None,
        sources=tuple(source for sources in entries.values() for source in sources),
        unconfirmed=tuple(entry for entry, sources in entries.items() if not independent(sources)),
        fallback=row.config_source,
    )


def keys_read(fact: str, row: ModelRow) -> Mapping[str, Any]:
    """Return the keys of the row and of its configuration that a fact is read from, with their values.

    The `model_type` counts where the family is read, or where the configuration has none of the keys looked for.
    """
    config, family = _Config(row.config), _Attributes(row.architecture)
    watched = _Attributes(row, architecture=family)
    if fact == "parameters":
        config.seen.update(("model_type", *COUNTED))
    elif fact in ROW_FACTS:
        ROW_FACTS[fact](cast(Row, watched), config)
    else:
        fact_of(fact, cast(Family, family), config)
    stated = {key: getattr(row, key) for key in STATED if key in watched.seen}
    if family.seen or not (config.seen or stated):
        config.seen.add("model_type")
    return {**{key: row.config[key] for key in row.config if key in config.seen}, **stated}


def _saying(row: ModelRow, key: str, value: Any) -> tuple[Source, ...]:
    return tuple(source for source in row.sources if source.says(key, value))


def _tables(fact: str, row: ModelRow) -> Iterator[tuple[str, tuple[Source, ...]]]:
    """Yield the entries of tables that a fact is read from, beyond the row's own keys, each with its sources."""
    if fact == "corpus_gigabytes":
        yield f"the size of {row.corpus}", CORPORA[str(row.corpus)].sources
    if fact == "code_rotary_fraction":
        yield f"the default of {RULES[row.init].code}", ROTARY_DEFAULTS[RULES[row.init].code].sources
    if fact.startswith(("init_output_", "init_input_")):
        yield f"the rule {row.init}", RULES[row.init].sources


class _Config(Mapping[str, Any]):
    """A configuration that remembers which of its keys were read."""

    def __init__(self, of: Config) -> None:
        self._of = of
        self.seen: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        value = self._of[key]
        self.seen.add(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)


class _Attributes:
    """An object that remembers which of its attributes were read; `known` take the place of its own."""

    def __init__(self, of: object, **known: object) -> None:
        self._of, self._known = of, known
        self.seen: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.seen.add(name)
        return self._known[name] if name in self._known else getattr(self._of, name)
