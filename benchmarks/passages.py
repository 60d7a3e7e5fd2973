"""Makes the prompt sets `passages-128` and `passages-512` from the twins' corpus (`refutable.twins`, build).

    python -m benchmarks.passages --corpus FOLDER --tokenizer tokenizer.json

Passages are cut from documents by length in tokens of SmolLM2's tokenizer, and begin where a line begins. Documents are
taken in a seeded order, one passage each while there are enough, then at later places. A passage is refused if it is
mostly other than prose (letters, digits between words, code), if it shares a run of twelve words with one before, or if
its text does not come back from its tokens.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

KINDS = {  # kind of text: Debian package
    "Scripture": "display-dhammapada",
    "Essay": "anarchism",
    "Slang lexicon": "dict-jargon",
    "Definitions": "wordnet-base",
    "Encyclopedia": "dict-foldoc",
    "Music manual": "lilypond-doc-html",
    "Office help": "libreoffice-help-en-us",
    "Handbook": "debian-handbook",
    "Database manual": "postgresql-doc-15",
    "Language reference": "python3.11-doc",
    "Programming tutorial": "perl-doc",
    "Server manual": "apache2-doc",
    "Editor manual": "vim-runtime",
}
LENGTHS, EACH, RUN = (512, 128), 20, 12
OUT = Path(__file__).parent.parent / "src" / "refutable" / "data" / "prompts"


def main() -> None:
    """Write both sets."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--corpus", type=Path, required=True)
    asked.add_argument("--tokenizer", type=Path, required=True)
    given = asked.parse_args()
    tokenizer = Tokenizer.from_file(str(given.tokenizer))
    facts = {one["package"]: one for one in json.loads((given.corpus / "corpus.json").read_text())["sources"]}
    documents: dict[str, list[str]] = {package: [] for package in KINDS.values()}
    with (given.corpus / "train.jsonl").open(encoding="utf-8") as file:
        for line in file:
            one = json.loads(line)
            if one["source"] in documents and "polish" not in one["document"]:
                documents[one["source"]].append(one["text"])
    seen: set[str] = set()
    sets: dict[int, list[dict[str, Any]]] = {length: [] for length in LENGTHS}
    for kind, package in KINDS.items():
        for length in LENGTHS:
            found = []
            for text in passages(documents[package], tokenizer, length, seed=f"{kind} {length}"):
                runs = runs_of(text)
                if runs & seen:
                    continue
                seen |= runs
                found.append({"category": kind, "tokens": length, "text": text})
                if len(found) == EACH:
                    break
            if len(found) < EACH:
                raise SystemExit(f"{kind}: {len(found)} passages of {length} tokens")
            sets[length] += found
    for length, prompts in sets.items():
        write(length, prompts, facts)


def passages(documents: list[str], tokenizer: Any, length: int, seed: str) -> Iterator[str]:
    """Yield texts of exactly so many tokens: one from each document in a seeded order, then another of each, and on."""
    order = random.Random(seed)
    starts = []
    for text in documents:
        lines = [0, *(found.end() for found in re.finditer("\n", text))]
        own = [at for at in lines if len(text) - at > 3 * length]
        order.shuffle(own)
        starts.append((text, own[:400]))
    order.shuffle(starts)
    for turn in range(400):
        for text, own in starts:
            if turn < len(own):
                cut = of_length(text[own[turn] : own[turn] + 12 * length], tokenizer, length)
                if cut is not None and is_prose(cut):
                    yield cut


def of_length(text: str, tokenizer: Any, length: int) -> str | None:
    """Return the beginning of a text that has so many tokens, or None where none has."""
    text = text.lstrip()
    encoded = tokenizer.encode(text)
    if len(encoded.ids) <= length:
        return None
    cut = text[: encoded.offsets[length - 1][1]]
    return cut if cut == cut.strip() and len(tokenizer.encode(cut).ids) == length else None


def is_prose(text: str) -> bool:
    """Whether a text is mostly words, in lines that are not all short, and printable."""
    letters = sum(one.isalpha() or one == " " for one in text) / len(text)
    lines = text.split("\n")
    long = sum(len(line) for line in lines if len(line) >= 40) / len(text)
    words = re.findall(r"[a-z]+", text.lower())
    return (
        letters > 0.85
        and long > 0.7
        and len(set(words)) > 0.35 * len(words)
        and all(one.isprintable() or one == "\n" for one in text)
        and not re.search(r"\[ <|> \]|https?:", text)  # navigation, addresses
        and "@" not in text
    )


def runs_of(text: str) -> set[str]:
    """Return every run of twelve words."""
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}


def write(length: int, prompts: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    """Write a set in the packaged form."""
    told = "; ".join(
        f"{kind}: {package} {facts[package]['version']} ({facts[package]['licence']})"
        for kind, package in KINDS.items()
    )
    lines = [
        f"name: passages-{length}",
        "source: >-",
        f"  {EACH} passages of each of {len(KINDS)} kinds of text, each of exactly {length} tokens, from documents",
        "  that Debian 12 distributes in its section main; cut by benchmarks/passages.py, no run of twelve words twice",
        "  in both sets. Kind, Debian package, version and licence of the text (docs/passages.md has the notices):",
        f"  {told}",
        "tokens_by: SmolLM2-135M-Instruct",
        "halves: prompts",
        "prompts:",
    ]
    lines += [
        f"  - {{category: {one['category']}, tokens: {length}, text: {json.dumps(one['text'], ensure_ascii=False)}}}"
        for one in prompts
    ]
    (OUT / f"passages-{length}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
