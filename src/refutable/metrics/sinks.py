"""Attention to the first token (pass ``sinks``)."""

from refutable.metrics import GAUGES, METRICS, Values, metric
from refutable.traces.passes import SINK_ATTENTION, SINK_RATE, beside
from refutable.traces.trace import View


@METRICS.add
@metric(unit="share", tap="attention probabilities", per="layer", invariant=GAUGES, reads="sinks")
def attention_to_first(view: View) -> Values:
    """Attention that a prompt's tokens pay to its first, mean over tokens and heads of each block. In [0, 1].

    The first token, which sees itself alone, is no query here unless `first_token: with`, which adds 1 / tokens of what
    is missing to 1. Uniform attention over n tokens gives (H_n - 1) / (n - 1), H_n the harmonic number: 0.035 for 128.
    A query beyond the window of a windowed block pays it nothing.
    """
    return view.column(beside(SINK_ATTENTION, view.first_token))


@METRICS.add
@metric(unit="share", tap="attention probabilities", per="layer", invariant=GAUGES, reads="sinks")
def sink_rate(view: View) -> Values:
    """Share of each block's heads whose mean attention to a prompt's first token is above 0.3. In [0, 1].

    Gu et al. 2024 (arXiv:2410.10781) count the first token as a query (`first_token: with`) of texts of 64 tokens; in a
    prompt of two, any head would pass so.
    """
    return view.column(beside(SINK_RATE, view.first_token))
