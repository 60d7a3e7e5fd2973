"""Statements about published tables and about the numbers in them that can be decided without a model."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import gammaln

from refutable.metrics import evaluate
from refutable.prompts.find import load_prompts
from refutable.theorems import theorem
from refutable.traces.synthetic import POSITIONS, Recipe, trace_of

Example = dict[str, Any]

# The first 8 hexadecimal digits of the SHA-256 of each prompt, in the order of the published table's rows.
TABLES: dict[str, str] = {
    "gptj": (
        "f3ba66c6 040a5dc7 2e878368 6bb7aea0 b6b25442 b0fafa49 a023a8aa ce69b33f e4b7b174 "
        "1e21851d 01c13688 27f49f55 0d4d9d15 c11944e5 8d02bd88 ec755466 472774f9 69c6eb27 "
        "068f3024 8a9711cc ce9a3a7f 5bfa46be df94a934 73824e68 14100518"
    ),
    "pythia-6.9b": (
        "f3ba66c6 040a5dc7 2e878368 6bb7aea0 b6b25442 b0fafa49 a023a8aa ce69b33f e4b7b174 "
        "1e21851d 01c13688 27f49f55 0d4d9d15 c11944e5 8d02bd88 ec755466 472774f9 69c6eb27 "
        "068f3024 8a9711cc ce9a3a7f 5bfa46be df94a934 73824e68 14100518"
    ),
    "mistral-7b": (
        "f3ba66c6 040a5dc7 2e878368 6bb7aea0 b6b25442 b0fafa49 a023a8aa ce69b33f e4b7b174 "
        "1e21851d 01c13688 27f49f55 0d4d9d15 c11944e5 8d02bd88 ec755466 472774f9 69c6eb27 "
        "068f3024 8a9711cc ce9a3a7f 5bfa46be df94a934 73824e68 14100518"
    ),
    "gpt2-xl": (
        "f3ba66c6 040a5dc7 2e878368 6bb7aea0 b6b25442 b0fafa49 a023a8aa ce69b33f e4b7b174 "
        "1e21851d 01c13688 27f49f55 0d4d9d15 c11944e5 8d02bd88 ec755466 472774f9 69c6eb27 "
        "068f3024 8a9711cc ce9a3a7f 5bfa46be df94a934 73824e68 14100518"
    ),
    "gpt2-large": (
        "f3ba66c6 040a5dc7 2e878368 6bb7aea0 b6b25442 b0fafa49 a023a8aa ce69b33f e4b7b174 "
        "1e21851d 01c13688 27f49f55 0d4d9d15 c11944e5 8d02bd88 ec755466 472774f9 69c6eb27 "
        "068f3024 8a9711cc ce9a3a7f 5bfa46be df94a934 73824e68 14100518"
    ),
}


@theorem(
    "the-tables-share-their-prompts",
    st.fixed_dictionaries({"model": st.sampled_from(sorted(TABLES)), "row": st.integers(0, 24)}),
)
def the_tables_share_their_prompts(example: Example) -> bool:
    """Each row of each published table has the prompt that the notebook's set has at its place."""
    texts = [prompt.text for prompt in load_prompts("grand-unified-25").prompts]
    digests = TABLES[example["model"]].split()
    return len(texts) == len(digests) and digest(texts[example["row"]]) == digests[example["row"]]


# The dtype in which the author computed each published table, norms and all, by the code and the notes beside it.
DTYPES: dict[str, str] = {
    "gptj": "bfloat16",
    "pythia-6.9b": "float16",
    "mistral-7b": "float16",
    "gpt2-xl": "float32",
    "gpt2-large": "float32",
}


@theorem(
    "the-published-gains-share-one-dtype",
    st.fixed_dictionaries({"one": st.sampled_from([*DTYPES]), "other": st.sampled_from([*DTYPES])}),
)
def the_published_gains_share_one_dtype(example: Example) -> bool:
    """Two published tables whose gains are compared were measured in one dtype."""
    return DTYPES[example["one"]] == DTYPES[example["other"]]


def _together(x: list[int], y: list[int]) -> int:
    """Return the covariance of two lists, times the square of their length: exact."""
    return len(x) * sum(a * b for a, b in zip(x, y, strict=True)) - sum(x) * sum(y)


@theorem(
    "deviation-mirrors-a-gain-below-one",
    st.integers(2, 6).flatmap(
        lambda n: st.fixed_dictionaries(
            {
                "gains": st.lists(st.integers(0, 999), min_size=n, max_size=n),
                "entropies": st.lists(st.integers(0, 9), min_size=n, max_size=n),
            }
        )
    ),
    premise=lambda e: all(len(set(values)) > 1 for values in e.values()),
)
def deviation_mirrors_a_gain_below_one(example: Example) -> bool:
    """Where all gains are below 1 (in thousandths), |G - 1| correlates with anything as G does, the other way."""
    gains, entropies = example["gains"], example["entropies"]
    deviations = [abs(gain - 1000) for gain in gains]
    mirrored = _together(deviations, entropies) == -_together(gains, entropies)
    return mirrored and _together(deviations, deviations) == _together(gains, gains)


def _outputs(example: Example) -> list[int]:
    """Return what each block leaves of a stream of one dimension."""
    return list(itertools.accumulate(example["updates"], initial=example["embedding"]))[1:]


@theorem(
    "total-amplification-starts-after-the-first-block",
    st.fixed_dictionaries(
        {
            "embedding": st.integers(-9, 9),
            "updates": st.lists(st.integers(-9, 9), min_size=2, max_size=4),
            "moved": st.integers(1, 9),
        }
    ),
    premise=lambda e: all(_outputs(e)),
)
def total_amplification_starts_after_the_first_block(example: Example) -> bool:
    """The metric total_amplification is the notebook's norms[-1] / norms[0], also where another embedding led there."""
    first, *others = example["updates"]
    norms = [abs(output) for output in _outputs(example)]  # the notebook's hooks, one a block, after it
    starts = ((example["embedding"], first), (example["embedding"] + example["moved"], first - example["moved"]))
    return all(_amplification(at, [update, *others]) == norms[-1] / norms[0] for at, update in starts)


def _amplification(embedding: int, updates: list[int]) -> float:
    """Return the metric of a trace of three tokens, all of a stream of one dimension that goes this way."""
    attention = np.broadcast_to(np.array(updates, dtype=np.float64)[:, None], (1, POSITIONS, len(updates), 1))
    one = np.ones(1)
    recipe = Recipe(
        np.full((1, POSITIONS, 1), float(embedding)),
        *(attention, np.zeros_like(attention), np.ones_like(attention), np.ones_like(attention)),
        entropy=np.ones((1, len(updates))),
        tokens=np.array([POSITIONS]),
        head_input=np.ones((1, 1)),
        top=one,
        others=one.astype(np.int64),
    )
    return float(evaluate("total_amplification", trace_of(recipe)).values[0])


def digest(text: str) -> str:
    """Return the first 8 hexadecimal digits of a text's SHA-256, as `TABLES` has them."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@theorem(
    "narrower-heads-are-noisier",
    st.fixed_dictionaries(
        {"narrow": st.integers(1, 512), "more": st.integers(1, 512), "d_model": st.integers(1, 16384)}
    ),
)
def narrower_heads_are_noisier(example: Example) -> bool:
    """What a drawn head adds varies more in length, against its mean, than what a wider head adds."""
    narrow, wide = example["narrow"], example["narrow"] + example["more"]
    return _spread(narrow, example["d_model"]) > _spread(wide, example["d_model"])


def _spread(d_head: int, d_model: int) -> float:
    """Squared coefficient of variation of ||W v||: v of d_head normal numbers, W normal of d_model rows."""
    return _raw(d_head) * _raw(d_model) - 1


def _raw(n: int) -> float:
    """Mean square over squared mean of the length of n standard normal numbers."""
    return float(n / 2 * np.exp(2 * (gammaln(n / 2) - gammaln((n + 1) / 2))))


ENOUGH = 0.065 / 4


@theorem(
    "norms-in-bfloat16-are-adequate",
    st.fixed_dictionaries({"before": st.integers(1, 10**7), "after": st.integers(1, 10**7)}),
    premise=lambda e: e["after"] <= 2 * e["before"],
)
def norms_in_bfloat16_are_adequate(example: Example) -> bool:
    """Rounding both norms (in thousandths) to bfloat16 moves a gain of at most 2 by less than 0.065 / 4."""
    before, after = example["before"] / 1000, example["after"] / 1000
    return bool(abs(_bfloat16(after) / _bfloat16(before) - after / before) < ENOUGH)


def _bfloat16(x: float) -> float:
    """Return the nearest number of 8 significant bits, ties to even; of normal size."""
    fraction, exponent = np.frexp(x)
    return float(np.ldexp(np.rint(np.ldexp(fraction, 8)), exponent - 8))
