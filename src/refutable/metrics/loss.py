"""Next-token loss (pass ``loss``)."""

from refutable.metrics import GAUGES, METRICS, Values, metric
from refutable.traces.passes import LOSS
from refutable.traces.trace import View


@METRICS.add
@metric(unit="nats", tap="logits", invariant=GAUGES, reads="loss")
def next_token_loss(view: View) -> Values:
    """Mean over a prompt's tokens after the first of -log the probability that the model gave it. At least 0.

    Not measured of prompts of which one has one token.
    """
    return view.column(LOSS)[:, -1]
