"""From text to tokens: a byte-level BPE, and one file of uint16 for training and one that is held out.

Tokens of one source lie together, a document after the other, each ended by token 0. Windows of a fixed number of
tokens (and one more, the last target) are cut from each source; `Tokens.windows` says where they begin.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refutable.twins.corpus.build import sha256
from refutable.twins.errors import TwinsError

END = "<|endoftext|>"
SAMPLE = 12_000_000  # characters that the BPE is trained on


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokenised text.

    Attributes:
        train, held_out: token ids, shape (n,), uint16.
        spans: of each source, where its tokens begin and end in `train`.
        held_out_spans: the same in `held_out`.
        vocabulary: number of tokens.
        prompts: token ids of the project's prompts.
        digest: SHA-256 of both files together.
    """

    train: np.ndarray
    held_out: np.ndarray
    spans: dict[str, tuple[int, int]]
    held_out_spans: dict[str, tuple[int, int]]
    vocabulary: int
    prompts: list[list[int]]
    digest: str

    def windows(self, context: int, data: str = "all") -> np.ndarray:
        """Return where the windows of the training part begin: shape (n,), int64.

        Args:
            context: tokens a window; each reads one token more, its last target.
            data: ``all`` or ``shuffled``; ``one source`` and ``four sources`` are the largest.
        """
        by_size = sorted(self.spans, key=lambda name: self.spans[name][0] - self.spans[name][1])
        count = {"one source": 1, "four sources": 4}.get(data, len(by_size))
        return _windows([self.spans[name] for name in by_size[:count]], context)

    def held_out_windows(self, context: int, count: int) -> np.ndarray:
        """Return windows of the held-out part, spread evenly over it: shape (n, context + 1), int64."""
        starts = _windows(list(self.held_out_spans.values()), context)
        chosen = starts[np.linspace(0, len(starts) - 1, min(count, len(starts))).astype(int)]
        windows: np.ndarray = self.held_out[chosen[:, None] + np.arange(context + 1)].astype(np.int64)
        return windows


def _windows(spans: Sequence[tuple[int, int]], context: int) -> np.ndarray:
    return np.concatenate(
        [np.arange(start, end - context, context) for start, end in sorted(spans)] or [np.array([], int)]
    )


def tokenise(corpus: Path, folder: Path, vocabulary: int, limit: int, prompts: Sequence[str]) -> dict[str, Any]:
    """Write tokenizer.json, train.bin, held-out.bin and tokens.json into a folder; return what tokens.json says.

    Args:
        corpus: folder written by `build`.
        folder: where to.
        vocabulary: number of tokens, the 256 bytes and the end of a document among them.
        limit: of training tokens; of each source the same share is taken, its documents in the order of their hashes.
        prompts: texts whose token ids are kept in tokens.json, for a machine without tokenizers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _trained(corpus / "train.jsonl", vocabulary)
    tokenizer.save(str(folder / "tokenizer.json"))
    about: dict[str, Any] = {
        "vocabulary": vocabulary,
        "corpus": json.loads((corpus / "corpus.json").read_text())["sha256"],
    }
    about["prompts"] = [tokenizer.encode(text).ids for text in prompts]
    for part, most in (("train", limit), ("held-out", None)):
        by_source = _encoded(corpus / f"{part}.jsonl", tokenizer)
        total = sum(len(ids) for documents in by_source.values() for ids in documents)
        share = 1.0 if most is None else min(1.0, most / total)
        spans, pieces, at = {}, [], 0
        for source, documents in by_source.items():
            kept = _first(documents, share)
            spans[source] = (at, at + len(kept))
            pieces.append(kept)
            at += len(kept)
        np.concatenate(pieces).tofile(folder / f"{part}.bin")
        about[part] = {"tokens": at, "of": total, "spans": spans, "sha256": sha256(folder / f"{part}.bin")}
    (folder / "tokens.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return about


def load_tokens(folder: Path) -> Tokens:
    """Read what `tokenise` wrote.

    Raises:
        TwinsError: it is not there, or a file is not the one that was written.
    """
    if not (folder / "tokens.json").is_file():
        raise TwinsError(f"{folder}: no tokens.json; write it: python -m refutable.twins tokenise --out {folder}")
    about = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
    for part in ("train", "held-out"):
        if sha256(folder / f"{part}.bin") != about[part]["sha256"]:
            raise TwinsError(f"{folder}/{part}.bin is not the file that tokens.json speaks of; tokenise again")
    return Tokens(
        train=np.fromfile(folder / "train.bin", dtype=np.uint16),
        held_out=np.fromfile(folder / "held-out.bin", dtype=np.uint16),
        spans={name: (a, b) for name, (a, b) in about["train"]["spans"].items()},
        held_out_spans={name: (a, b) for name, (a, b) in about["held-out"]["spans"].items()},
        vocabulary=about["vocabulary"],
        prompts=about["prompts"],
        digest=hashlib.sha256((about["train"]["sha256"] + about["held-out"]["sha256"]).encode()).hexdigest(),
    )


def _trained(path: Path, vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(path), trainer)
    return tokenizer


def _sample(path: Path) -> Iterator[str]:
    """Yield documents spread over the file, about `SAMPLE` characters of them."""
    every = max(1, path.stat().st_size // SAMPLE)
    for number, (_, text) in enumerate(_documents(path)):
        if number % every == 0:
            yield text


def _documents(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            document = json.loads(line)
            yield document["source"], document["text"]


def _encoded(path: Path, tokenizer: Any) -> dict[str, list[np.ndarray]]:
    """Return each source's documents as token ids, each ended by 0, in the order of their texts' hashes."""
    keyed: dict[str, list[tuple[bytes, np.ndarray]]] = {}
    batch: list[tuple[str, str]] = []

    def flush() -> None:
        for (source, text), encoding in zip(batch, tokenizer.encode_batch([text for _, text in batch]), strict=True):
            ids = np.array([*encoding.ids, 0], dtype=np.uint16)
            keyed.setdefault(source, []).append((hashlib.sha256(text.encode()).digest(), ids))
        batch.clear()

    for one in _documents(path):
        batch.append(one)
        if len(batch) == 256:
            flush()
    flush()
    return {source: [ids for _, ids in sorted(some, key=lambda pair: pair[0])] for source, some in keyed.items()}


def _first(documents: Sequence[np.ndarray], share: float) -> np.ndarray:
    """Return the first documents that hold a share of the source's tokens, the last one cut."""
    together = np.concatenate(documents)
    return together[: int(share * len(together))]
