"""Next-token loss (pass ``loss``)."""

from refutable.metrics import GAUGES, METRICS, Values, metric
from refutable.traces.passes import LOSS
from refutable.traces.trace import View


@METRICS.add
@metric(unit="nats", tap="logits", invariant=GAUGES, reads="loss")
def next_token_loss(view: View) -> Values:
    """Mean of -log the probability that the model gave to each of a prompt's tokens after the first. At least 0.

    Not measured if any of the prompts has only one token.
    """
    return view.column(LOSS)[:, -1]
