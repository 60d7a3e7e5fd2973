"""A tokenizer's chat template: the text around a prompt with which a model was trained to answer."""

from __future__ import annotations

from pathlib import Path

from refutable._util.reading import MEGABYTE, is_file, read_json, read_text
from refutable.errors import NotMeasured
from refutable.models.gguf_header import read_gguf
from refutable.models.weight_files import CHAT_TEMPLATE

DEFAULT = "default"  # the name of the template that is meant where a tokenizer has several
IN_GGUF = "tokenizer.chat_template"


def chat_template(tokenizer: Path | None, model: str) -> str:
    """Return the chat template of a tokenizer, as its files hold it.

    Args:
        tokenizer: its folder, or a GGUF file; None for stand-in tokens.
        model: whose it is, for messages.

    Raises:
        NotMeasured: it has none.
        BadInput: its configuration cannot be read.
    """
    if tokenizer is None:
        raise NotMeasured(f"{model}: its tokens are stand-ins, and they have no chat template")
    found = _of_gguf(tokenizer) if is_file(tokenizer) else _of_folder(tokenizer)
    if not found:
        raise NotMeasured(f"{model}: its tokenizer has no chat template")
    return found


def _of_folder(folder: Path) -> str | None:
    if is_file(folder / CHAT_TEMPLATE):
        return read_text(folder / CHAT_TEMPLATE, most=MEGABYTE)
    if not is_file(folder / "tokenizer_config.json"):
        return None
    told = read_json(folder / "tokenizer_config.json", fix="fetch it again")
    given = told.get("chat_template") if isinstance(told, dict) else None
    if isinstance(given, list):
        named = {one.get("name"): one.get("template") for one in given if isinstance(one, dict)}
        given = named.get(DEFAULT)
    return given if isinstance(given, str) else None


def _of_gguf(path: Path) -> str | None:
    given = read_gguf(path).values.get(IN_GGUF)
    return given if isinstance(given, str) else None
