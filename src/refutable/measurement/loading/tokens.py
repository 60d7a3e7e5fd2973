"""Token ids for prompts: a model's own tokenizer, or fixed stand-ins for a model that has none."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from refutable._util.text import whole_reason
from refutable.errors import BadInput, NotMeasured
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import NO_BOS, Bos

DATE = date(2024, 7, 26)
_FORMATS = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1")
_DATED = (  # takes the place of the function that templates get; what it is called with must stand in the template
    "{% macro strftime_now(format) %}{% if format in dates_of_refutable %}{{ dates_of_refutable[format] }}{% else %}"
    "{{ raise_exception('its date is not fixed') }}{% endif %}{% endmacro %}{{ '' }}"
)
_TELLING = (  # texts that tokenizers of other families cut otherwise
    "The capital of France is Paris, isn't it?",
    "x = 12345.678 * y[10]  # 2,000 units\n\n\tdef f(self):\n        return None",
    "  HelloWorld   déjà vu, naïve — “quoted”… 東京は 🙂 we'LL I'VE",
)


@dataclass(frozen=True, slots=True)
class OwnTokenizer:
    """The model's own tokenizer, as transformers loads it.

    Attributes:
        tokenizer: transformers' object.
        vocabulary: number of tokens that the model has an embedding for.
        file: what its tokenizer.json does by itself, where it has one.
        template: chat template into which each prompt is put as a user's message; None for bare prompts.
    """

    tokenizer: Any
    vocabulary: int
    file: Tokenizer | None = None
    template: str | None = None

    def encode(self, prompts: PromptSet, bos: Bos = "default") -> list[list[int]]:
        """Return the ids of each prompt, special tokens as the tokenizer adds them by default.

        In a chat template, special tokens are those that the template writes.

        Args:
            prompts: the prompt set.
            bos: whether each begins with the beginning-of-sequence token: as the tokenizer has it, with it, or without.

        Raises:
            NotMeasured: the tokenizer has no such token, a prompt has no other, or it does so by itself; or the chat
                template takes no such message.
            BadInput: the ids are not those of the file, have no embedding, begin twice or end with a token that no
                prompt has.
        """
        ids = [self._encoded(prompt.text) for prompt in prompts.prompts]
        if bos == "default":
            return ids
        token = self.tokenizer.bos_token_id
        if token is None:
            raise NotMeasured("its tokenizer has no beginning-of-sequence token")
        bare = [one[1:] if one[:1] == [token] else one for one in ids]
        if bos == "without" and not all(bare):
            raise NotMeasured("a prompt has no token but the beginning-of-sequence token")
        asked = bare if bos == "without" else [[token, *one] for one in bare]
        if asked == ids:
            raise NotMeasured(f"prompts are tokenised {bos} a beginning-of-sequence token as it is: nothing varies")
        return asked

    def _encoded(self, text: str) -> list[int]:
        if self.template is not None:
            text = in_template(self.tokenizer, self.template, text)
            ids = bare_ids(self.tokenizer, text)
        else:
            ids = [int(token) for token in self.tokenizer(text)["input_ids"]]
        if max(ids, default=0) >= self.vocabulary:
            raise BadInput(
                f"token id {max(ids)} of the prompt {text[:60]!r} is not in the model's vocabulary of"
                f" {self.vocabulary}; give this model's own tokenizer, or ids from 0 to {self.vocabulary - 1}"
            )
        bare = bare_ids(self.tokenizer, text)
        if self.file is not None and bare != (own := self.file.encode(text, add_special_tokens=False).ids):
            raise BadInput(
                f"transformers cuts {text[:60]!r} into {len(bare)} tokens and the model's tokenizer.json into"
                f" {len(own)}; give a folder whose tokenizer_config.json fits its tokenizer.json"
            )
        first, last = self.tokenizer.bos_token_id, getattr(self.tokenizer, "eos_token_id", None)
        if first is not None and ids[:2] == [first, first]:
            raise BadInput(
                f"the prompt {text[:60]!r} begins with the beginning-of-sequence token, and the tokenizer puts another"
                " before it; take it out of the prompt"
            )
        if last is not None and ids[1:] and ids[-1] == last and bare[-1:] != [last]:
            raise BadInput(
                "the tokenizer puts an end-of-sequence token after each prompt, so that the last token would be no"
                ' word of it; set "add_eos_token": false in tokenizer_config.json'
            )
        return ids

    def decode(self, token: int) -> str:
        """Return the text of one token."""
        text: str = self.tokenizer.decode([token])
        return text


@dataclass(frozen=True, slots=True)
class StandInTokens:
    """Fixed seeded ids of the prompts' recorded lengths, for a model that has no tokenizer.

    Attributes:
        vocabulary: ids are drawn uniformly below this.
    """

    vocabulary: int

    def encode(self, prompts: PromptSet, bos: Bos = "default") -> list[list[int]]:
        """Return the same ids for the same prompt set, always.

        Raises:
            NotMeasured: asked for a beginning-of-sequence token, which none of them is.
        """
        if bos != "default":
            raise NotMeasured(NO_BOS)
        generator = np.random.default_rng(int(prompts.hash[:16], 16))
        return [generator.integers(self.vocabulary, size=prompt.tokens).tolist() for prompt in prompts.prompts]

    def decode(self, token: int) -> str:
        """Return the id: a stand-in token has no text."""
        return f"<{token}>"


@dataclass(frozen=True, slots=True)
class GivenTokens:
    """Token ids that were given in place of texts.

    Attributes:
        ids: of each prompt.
    """

    ids: tuple[tuple[int, ...], ...]

    def encode(self, prompts: PromptSet, bos: Bos = "default") -> list[list[int]]:
        """Return the ids as they were given.

        Raises:
            NotMeasured: asked for a beginning-of-sequence token, which nobody named.
        """
        if bos != "default":
            raise NotMeasured(NO_BOS)
        return [list(tokens) for tokens in self.ids]

    def decode(self, token: int) -> str:
        """Return the id: nobody said what text it stands for."""
        return f"<{token}>"


def in_template(tokenizer: Any, template: str, text: str) -> str:
    """Return a text as a user's only message in a chat template, up to where the answer begins.

    A template that asks for the date gets `DATE`, so that a prompt is the same every day.

    Raises:
        NotMeasured: the template cannot be filled in so.
    """
    message, dates = [{"role": "user", "content": text}], {}
    if "strftime_now" in template:
        template = f"{_DATED}{template}"
        dates = {told: DATE.strftime(told) for _, told in _FORMATS.findall(template)}
    try:
        rendered: str = tokenizer.apply_chat_template(
            message, chat_template=template, tokenize=False, add_generation_prompt=True, dates_of_refutable=dates
        )
    except Exception as error:  # a template is a program, which raises what it likes
        raise NotMeasured(f"its chat template takes no lone message of a user ({whole_reason(error)})") from None
    return rendered


def load_tokenizer(location: Path | None, vocabulary: int, template: str | None = None) -> OwnTokenizer | StandInTokens:
    """Load the tokenizer of a directory, or stand-in tokens if there is none.

    A folder's tokenizer.json says how text is cut. Where the class that its configuration names would cut it otherwise,
    the file is taken as it stands.

    Raises:
        BadInput: the files do not make a tokenizer.
    """
    if location is None:
        return StandInTokens(vocabulary)
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    found = _loaded(AutoTokenizer.from_pretrained, location, local_files_only=True, trust_remote_code=False)
    path = location / "tokenizer.json"
    if not path.is_file():
        return OwnTokenizer(found, vocabulary, template=template)
    file = _loaded(Tokenizer.from_file, str(path))
    file.no_padding()  # settings of some training run, which transformers sets aside too
    file.no_truncation()
    if any(bare_ids(found, text) != file.encode(text, add_special_tokens=False).ids for text in _TELLING):
        found = _loaded(PreTrainedTokenizerFast.from_pretrained, location, local_files_only=True)
    return OwnTokenizer(found, vocabulary, file, template)


def bare_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the token ids of a text, with no special token before or after where the tokenizer knows of any."""
    try:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    except TypeError:  # a callable of the user's own, which has no such choice
        ids = tokenizer(text)["input_ids"]
    return [int(token) for token in ids]


def _loaded(load: Callable[..., Any], location: Path | str, **options: Any) -> Any:
    """Load a tokenizer's files; whatever is raised on the way is about them, a panic of its Rust code among it."""
    try:
        return load(location, **options)
    except BaseException as error:
        if isinstance(error, MemoryError) or not (isinstance(error, Exception) or is_panic(error)):
            raise
        raise BadInput(
            f"{location}: its tokenizer cannot be loaded ({whole_reason(error)}); fetch tokenizer.json and"
            " tokenizer_config.json again"
        ) from None


def is_panic(error: BaseException) -> bool:
    """Whether Rust code panicked: what it raises is no `Exception`."""
    return type(error).__name__ == "PanicException"


def check_lengths(name: str, config: Any, ids: list[list[int]], prompts: PromptSet) -> None:
    """Refuse prompts that are longer than a model's configuration says it can read.

    Raises:
        NotMeasured: one is.
    """
    limits = ("max_position_embeddings", "n_positions", "max_seq_len")
    longest, most = max(map(len, ids)), next((n for n in (getattr(config, key, None) for key in limits) if n), None)
    if most is not None and longest > most:
        which = prompts.called(max(range(len(ids)), key=lambda number: len(ids[number])))
        raise NotMeasured(f"{name} reads at most {most} tokens and {which} has {longest}; shorten it or leave it out")
