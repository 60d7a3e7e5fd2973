"""Tokens made up for the tests of the twins: a small language that can be learned, from two sources."""

from __future__ import annotations

import numpy as np

from refutable.twins.corpus.tokens import Tokens

VOCABULARY = 256


def tokens(seed: int = 0) -> Tokens:
    rng = np.random.default_rng(seed)
    text = np.cumsum(rng.integers(0, 3, size=24_000), dtype=np.int64) % VOCABULARY  # the next token is one of three
    ids = text.astype(np.uint16)
    return Tokens(
        train=ids[:20_000],
        held_out=ids[20_000:],
        spans={"a": (0, 12_000), "b": (12_000, 20_000)},
        held_out_spans={"a": (0, 4_000)},
        vocabulary=VOCABULARY,
        prompts=[[1, 2, 3], [9, 8, 7, 6, 5, 4, 3], [200, 100]],
        digest="made up",
    )
