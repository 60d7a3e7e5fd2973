"""Entropies in nats: of attention and of the output distribution; and prompt length."""

import math

import numpy as np

from refutable.errors import NoSuchTap
from refutable.metrics import GAUGES, METRICS, Values, metric
from refutable.traces.trace import ENTROPY_COLUMN, KEYS_COLUMN, View


@METRICS.add
@metric(unit="nats", tap="attention probabilities", per="layer", last_only=True, invariant=GAUGES)
def attention_entropy(view: View) -> Values:
    """Entropy of the query's attention probabilities, mean over heads. In [0, log visible keys]."""
    return view.column(ENTROPY_COLUMN)


@METRICS.add
@metric(unit="share", tap="attention probabilities", per="layer", last_only=True, invariant=GAUGES)
def attention_entropy_normalised(view: View) -> Values:
    """Attention entropy over the log of the number of visible keys. In [0, 1]; NaN if the query sees only one key."""
    return view.column(ENTROPY_COLUMN) / np.log(view.column(KEYS_COLUMN))


@METRICS.add
@metric(unit="nats", tap="logits", last_only=True, invariant=GAUGES, of_vocabulary=lambda size: (0.0, math.log(size)))
def output_entropy(view: View) -> Values:
    """Entropy of the distribution of the next token after the prompt. In [0, log vocabulary]."""
    return view.prompts_column("output_entropy")


@METRICS.add
@metric(unit="probability", tap="logits", last_only=True, invariant=GAUGES, of_vocabulary=lambda size: (1 / size, 1.0))
def top_probability(view: View) -> Values:
    """Probability of the most probable next token. In [1 / vocabulary, 1]."""
    return view.prompts_column("top_probability")


@METRICS.add
@metric(unit="tokens", tap="token ids", last_only=True, invariant=GAUGES)
def prompt_length(view: View) -> Values:
    """Number of tokens of the prompt as the model saw it, including special tokens."""
    return view.prompts_column("tokens")


@METRICS.add
@metric(unit="code", tap="prompt set", last_only=True, invariant=GAUGES)
def prompt_complexity(view: View) -> Values:
    """The complexity that the prompt set's author assigned to the prompt's category, if any, as a number."""
    if view.trace.prompts["complexity"].null_count:
        raise NoSuchTap("the prompt set gives no `complexity:` of each category")
    return view.prompts_column("complexity")
