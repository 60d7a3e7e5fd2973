"""From a package's files to paragraphs of plain English."""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

from refutable.twins.corpus.sources import Form

PROSE = frozenset({"p", "li", "dd", "dt", "h1", "h2", "h3", "h4", "td", "blockquote", "title", "item", "desc"})
SILENT = frozenset({"script", "style", "pre", "nav", "footer", "header", "code-block", "head", "svg", "info", "screen"})
TRANSLATED = re.compile(r"\.(?!en\b)[a-z]{2}(-[a-z]{2})?\.html$", re.IGNORECASE)

Document = tuple[str, list[str]]  # its name, its paragraphs


class _Paragraphs(HTMLParser):
    """Collects the text of paragraph-like elements, without code blocks and navigation."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._text: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SILENT:
            self._silent += 1
        if tag in PROSE:
            self.flush()

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent = max(0, self._silent - 1)
        if tag in PROSE:
            self.flush()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._text.append(data)

    def flush(self) -> None:
        """End the paragraph that is being read."""
        if text := " ".join("".join(self._text).split()):
            self.found.append(text)
        self._text = []


def _marked_up(path: Path) -> Iterator[Document]:
    if TRANSLATED.search(path.name):
        return
    parser = _Paragraphs()
    parser.feed(_read(path))
    parser.flush()
    yield path.name, parser.found


def _pod(path: Path) -> Iterator[Document]:
    blocks = re.split(r"\n\s*\n", _read(path))
    prose = [block for block in blocks if not block.startswith((" ", "\t", "="))]
    yield path.name, [" ".join(_POD_CODE.sub(r"\1", _POD_CODE.sub(r"\1", block)).split()) for block in prose]


_POD_CODE = re.compile(r"[A-Z]<+ ?([^<>]*?) ?>+")


def _plain(path: Path) -> Iterator[Document]:
    text = re.sub(r"\n%+\n", "\n\n", _read(path))  # fortunes and game texts separate entries so
    yield path.name, [" ".join(block.split()) for block in re.split(r"\n\s*\n", text)]


def _dictd(path: Path) -> Iterator[Document]:
    """Entries begin in the first column; a hundred of them are a document."""
    entries = re.split(r"\n(?=\S)", _read(path))
    clean = [" ".join(_DICTIONARY_NOTE.sub(" ", entry).replace("{", "").replace("}", "").split()) for entry in entries]
    for start in range(0, len(clean), 100):
        yield f"{path.name}:{start}", clean[start : start + 100]


_DICTIONARY_NOTE = re.compile(r"\[[^\]]{0,60}\]|\\[^\\\n]{1,80}\\,?|\((?:19|20)\d\d-\d\d-\d\d\)")


def _wordnet(path: Path) -> Iterator[Document]:
    """A line is a sense: its words, then its definition and examples after a bar; a hundred lines are a document."""
    senses = []
    for line in _read(path).splitlines():
        fields, bar, gloss = line.partition(" | ")
        if bar and not line.startswith(" "):
            words = fields.split()
            count = int(words[3], 16)
            names = ", ".join(re.sub(r"\(.*\)$", "", words[4 + 2 * i]).replace("_", " ") for i in range(count))
            senses.append(f"{names}: {gloss.strip()}")
    for start in range(0, len(senses), 100):
        yield f"{path.name}:{start}", senses[start : start + 100]


READERS: dict[Form, Callable[[Path], Iterator[Document]]] = {
    "html": _marked_up,
    "page": _marked_up,
    "pod": _pod,
    "plain": _plain,
    "dictd": _dictd,
    "wordnet": _wordnet,
}


def is_english(paragraph: str) -> bool:
    """Whether a paragraph reads as English prose: long enough, of letters, with the commonest words among its own."""
    if not 40 <= len(paragraph) <= 5000:
        return False
    letters = sum(c.isascii() and (c.isalpha() or c == " ") for c in paragraph)
    words = paragraph.lower().split()
    common = sum(word in COMMON for word in words)
    return letters >= 0.85 * len(paragraph) and len(words) >= 6 and common >= 0.15 * len(words)


COMMON = frozenset(
    [
        "the",
        "of",
        "and",
        "a",
        "to",
        "in",
        "is",
        "that",
        "it",
        "for",
        "be",
        "as",
        "with",
        "on",
        "by",
        "or",
        "are",
        "this",
        "which",
        "an",
        "not",
        "from",
        "at",
        "can",
        "you",
        "if",
        "was",
        "has",
        "have",
        "its",
        "his",
        "will",
        "any",
        "when",
        "may",
        "one",
        "but",
        "all",
        "used",
        "use",
        "so",
        "into",
        "than",
        "no",
        "i",
        "he",
        "they",
        "we",
        "were",
        "who",
    ]
)


def cleaned(paragraph: str) -> str:
    """Return a paragraph with plain quotes and dashes, in ASCII and Latin letters, on one line."""
    text = html.unescape(paragraph).translate(_PLAIN)
    return " ".join("".join(c for c in text if c.isprintable() or c == " ").split())


_PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-",
                        "\u2026": "...", "\u00a0": " ", "\u00b6": None, "\uf0c1": None})  # fmt: skip


def _read(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix in {".gz", ".dz"}:
        data = gzip.decompress(data)
    return data.decode("utf-8", errors="ignore")
