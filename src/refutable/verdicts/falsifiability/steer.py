"""Lets Hypothesis search for data that break a prediction, if none of the ready-made choices does."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from refutable.traces.synthetic import POSITIONS, VOCABULARY, Recipe, trace_of
from refutable.traces.trace import Trace

PROMPTS = 5
WIDTH = 3
VECTORS = 6  # the stream, the two updates, and what the two modules and the unembedding read

_vector = st.lists(st.integers(-3, 3), min_size=WIDTH, max_size=WIDTH)
_prompt = st.fixed_dictionaries(
    {
        "vectors": st.lists(_vector, min_size=VECTORS, max_size=VECTORS),
        "decades": st.lists(st.integers(-3, 3), min_size=VECTORS, max_size=VECTORS),
        "entropy": st.integers(0, 100),
        "tokens": st.integers(POSITIONS, 1000),
        "top": st.integers(0, 6),
        "others": st.integers(1, VOCABULARY - 1),
    }
)
_prompts = st.lists(_prompt, min_size=PROMPTS, max_size=PROMPTS)


def steer(distance: Callable[[tuple[Trace, ...]], float | None], *, traces: int, layers: int, examples: int) -> None:
    """Try generated traces, steering towards what would break a prediction, until one does; deterministic.

    Args:
        distance: tries traces and returns how far outside the prediction they lie, or None if undecidable.
        traces: how many at once.
        layers: of each.
        examples: how many to try.
    """

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.target),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*[_prompts] * traces))
    def attempt(drawn: tuple[list[dict[str, Any]], ...]) -> None:
        far = distance(tuple(trace_of(_recipe(prompts, layers)) for prompts in drawn))
        if far is not None:
            target(far)
            if far > 0:
                raise _Broken

    with warnings.catch_warnings(), contextlib.suppress(_Broken):
        warnings.simplefilter("ignore", HypothesisWarning)
        attempt()


def _recipe(prompts: list[dict[str, Any]], layers: int) -> Recipe:
    """Return prompts with the same vectors at each position and layer; the stream moves on from layer to layer."""
    vectors = np.array([prompt["vectors"] for prompt in prompts], dtype=np.float64)  # (P, VECTORS, D)
    vectors *= 10.0 ** np.array([prompt["decades"] for prompt in prompts])[..., None]
    everywhere = np.broadcast_to(vectors[:, :, None, None], (len(prompts), VECTORS, POSITIONS, layers, WIDTH))
    stream, attention, mlp, attention_input, mlp_input, head_input = np.moveaxis(everywhere, 1, 0)
    return Recipe(
        stream[:, :, 0],
        attention,
        mlp,
        attention_input,
        mlp_input,
        entropy=np.repeat([[prompt["entropy"] / 100] for prompt in prompts], layers, axis=1),
        tokens=np.array([prompt["tokens"] for prompt in prompts]),
        head_input=head_input[:, 0, 0],
        top=10.0 ** np.array([prompt["top"] for prompt in prompts]),
        others=np.array([prompt["others"] for prompt in prompts]),
    )


class _Broken(Exception):
    """Data were found that break the prediction."""
