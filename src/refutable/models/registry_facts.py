"""Facts that the registry states about a model, or that follow from it: organisation, corpus, initialisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from refutable.errors import NotMeasured
from refutable.models.config import Config
from refutable.models.config_facts import Fact, d_head, d_model, layers
from refutable.models.families import FAMILIES, Family
from refutable.models.init_rules import CODES, CUT, RULES, Deviation, Rule, Sizes
from refutable.models.sources import Source
from refutable.models.training import Training


class Row(Protocol):
    """What is read of a row of the registry."""

    @property
    def name(self) -> str:
        """Return the model's name."""
        ...

    @property
    def family(self) -> str:
        """Return the `model_type` of its configuration."""
        ...

    @property
    def architecture(self) -> Family:
        """Return the row of its family."""
        ...

    @property
    def parameters(self) -> int:
        """Return the number of parameters."""
        ...

    @property
    def organisation(self) -> str:
        """Return who trained it."""
        ...

    @property
    def corpus(self) -> str | None:
        """Return what it was trained on."""
        ...

    @property
    def tokenizer(self) -> str | None:
        """Return which tokenizer cuts its text."""
        ...

    @property
    def init(self) -> str:
        """Return the rule by which its first weights were drawn."""
        ...

    @property
    def at(self) -> str:
        """Return the revision that it is of; empty for the model as its row has it."""
        ...

    @property
    def schedule(self) -> Training:
        """Return what is known of its checkpoints."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """A number that was published about what models are made from.

    Attributes:
        value: the number.
        sources: where it is stated.
    """

    value: float
    sources: tuple[Source, ...]


CORPORA: Mapping[str, Published] = {  # size of the text in 10^9 bytes
    "WebText": Published(
        40.0,
        (
            Source(by="OpenAI", at="Radford et al. (2019), 2.1: 40 GB"),
            Source(by="Hugging Face", at="hub openai-community/gpt2 README.md: 40 GB"),
            Source(by="textbookofai.com", at="glossary, WebText: 40 GB"),
        ),
    ),
    "The Pile": Published(
        825.18 * 1.024**3,
        (
            Source(by="EleutherAI", at="Gao et al. (2020), arXiv:2101.00027, table 1: 825.18 GiB"),
            Source(by="Wikipedia", at="The Pile (dataset): 886.03 GB"),
        ),
    ),
}
TOKENIZERS = ("GPT-2", "GPT-NeoX-20B")
STANDARD_HEADS = (64, 128)
ROTARY_DEFAULTS: Mapping[str, Published] = {  # share of a head; each code is its own only source
    "gpt-neox": Published(
        1.0, (Source(by="EleutherAI", at="gpt-neox megatron/neox_arguments/neox_args.py: rotary_pct 1.0"),)
    ),
    "mesh-transformer-jax": Published(
        1.0,
        (
            Source(
                by="kingoflolz",
                at="mesh-transformer-jax mesh_transformer/layers.py (TransformerLayerShard): pe_rotary_dims, else all",
            ),
        ),
    ),
}
UNKNOWN = "the registry does not say"
STEP_FACTS = ("step", "log_step", "tokens_seen")  # of a revision, and not of a model


def parameters(row: Row, config: Config) -> float:
    """Number of parameters; tied weights count once."""
    return float(row.parameters)


def family(row: Row, config: Config) -> str:
    """The `model_type`: which class of blocks it is built of."""
    return str(config["model_type"])


def organisation(row: Row, config: Config) -> str:
    """Who trained it."""
    return row.organisation


def corpus(row: Row, config: Config) -> str:
    """What it was trained on."""
    if row.corpus is None:
        raise NotMeasured(f"{UNKNOWN} what {row.name} was trained on")
    return row.corpus


def corpus_gigabytes(row: Row, config: Config) -> float:
    """Size of the corpus it was trained on, in 10^9 bytes of text, as published; sources in `CORPORA`."""
    name = corpus(row, config)
    if name not in CORPORA:
        raise NotMeasured(f"no published size of {name!r}, which {row.name} was trained on, is on record")
    return CORPORA[name].value


def tokenizer(row: Row, config: Config) -> str:
    """By which tokenizer its text is cut. An embedding may have more rows than entries."""
    if row.tokenizer is None:
        raise NotMeasured(f"{UNKNOWN} which tokenizer {row.name} reads by")
    return row.tokenizer


def standard_heads(row: Row, config: Config) -> bool:
    """Whether an attention head has 64 or 128 dimensions: the widths that the documents call standard."""
    return d_head(row.architecture, config) in STANDARD_HEADS


def training_code(row: Row, config: Config) -> str:
    """The code that trained it, as far as its first weights are known; sources in `init_rules.RULES`."""
    return _rule(row).code


def code_rotary_fraction(row: Row, config: Config) -> float:
    """Share of a head that the code which trained it turns where a training file names none, rotary once chosen."""
    if row.architecture.positions != "rotary":
        raise NotMeasured(f"{row.name} turns no part of a head: its positions are {row.architecture.positions}")
    if row.init not in RULES:
        raise NotMeasured(f"{UNKNOWN} by which code {row.name} was trained")
    code = RULES[row.init].code
    if code not in ROTARY_DEFAULTS:
        raise NotMeasured(f"no default of {code} for the share of a head that is turned is on record")
    return ROTARY_DEFAULTS[code].value


def init_rule(row: Row, config: Config) -> str:
    """By which rule its first weights were drawn."""
    _rule(row)
    return row.init


def init_output_deviation(row: Row, config: Config) -> float:
    """Standard deviation of the first weights of the matrices whose products are added to the stream."""
    rule = _rule(row)
    return rule.output(_sizes(row, config)) * (CUT if rule.truncated else 1)


def init_input_deviation(row: Row, config: Config) -> float:
    """Standard deviation of the first weights of the matrices that read the stream."""
    rule = _rule(row)
    return rule.input(_sizes(row, config)) * (CUT if rule.truncated else 1)


def init_output_by_depth(row: Row, config: Config) -> str:
    """How that of the output matrices falls with the number of blocks at a fixed width."""
    return _power(_rule(row).output, Sizes(4, 64, 256), Sizes(16, 64, 256), "L")


def init_input_by_width(row: Row, config: Config) -> str:
    """How that of the input matrices falls with the width: ``1/sqrt(d)`` is variance scaling by fan-in."""
    return _power(_rule(row).input, Sizes(4, 64, 256), Sizes(4, 256, 256), "d")


def step(row: Row, config: Config) -> float:
    """After how many steps of training a revision was saved: the number in its name, or what the row says of it."""
    if not row.at:
        raise NotMeasured(f"{row.name} is asked for as its row has it, and not at a revision")
    found = row.schedule.step(row.at)
    if found is None:
        raise NotMeasured(f"the name of {row.name} says no step; its row may, under `training: {{steps: ...}}`")
    return float(found)


def log_step(row: Row, config: Config) -> float:
    """Common logarithm of the step; of step 0 there is none."""
    found = step(row, config)
    if found == 0:
        raise NotMeasured(f"{row.name} is of step 0, which has no logarithm")
    return math.log10(found)


def tokens_seen(row: Row, config: Config) -> float:
    """Tokens that were read until a revision was saved: its step times the tokens of one."""
    found, each = step(row, config), row.schedule.tokens_per_step
    if each is None:
        raise NotMeasured(f"{UNKNOWN} how many tokens a step of {row.name} reads")
    return found * each


def _power(deviation: Deviation, small: Sizes, fourfold: Sizes, letter: str) -> str:
    """Return the law in words, from the rule's own numbers at one size and at four times it."""
    exponent = round(2 * math.log(deviation(small) / deviation(fourfold), 4))
    return {0: "constant", 1: f"1/sqrt({letter})", 2: f"1/{letter}"}[exponent]


def _rule(row: Row) -> Rule:
    if row.init not in RULES:
        raise NotMeasured(f"{UNKNOWN} how the code that trained {row.name} drew its first weights")
    return RULES[row.init]


def _sizes(row: Row, config: Config) -> Sizes:
    of = row.architecture
    return Sizes(layers(of, config), d_model(of, config), int(config["vocab_size"]))


ROW_FACTS: Mapping[str, Callable[[Row, Config], Fact]] = {
    fact.__name__: fact
    for fact in (
        parameters,
        family,
        organisation,
        corpus,
        corpus_gigabytes,
        tokenizer,
        standard_heads,
        training_code,
        code_rotary_fraction,
        init_rule,
        init_output_deviation,
        init_input_deviation,
        init_output_by_depth,
        init_input_by_width,
        step,
        log_step,
        tokens_seen,
    )
}
ROW_WORDS: Mapping[str, Collection[str | bool]] = {
    "family": FAMILIES,
    "organisation": (
        "BigScience",
        "EleutherAI",
        "Google",
        "Hugging Face",
        "Meta",
        "Mistral AI",
        "OpenAI",
        "Stability AI",
        "Swiss AI",
        "TII",
    ),
    "corpus": tuple(CORPORA),
    "tokenizer": TOKENIZERS,
    "standard_heads": (True, False),
    "training_code": CODES,
    "init_rule": tuple(RULES),
    "init_output_by_depth": ("constant", "1/sqrt(L)", "1/L"),
    "init_input_by_width": ("constant", "1/sqrt(d)", "1/d"),
}
