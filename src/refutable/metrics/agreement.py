"""What an intervention leaves of the model's predictions (pass ``agreement``)."""

from refutable.metrics import GAUGES, METRICS, Values, metric
from refutable.traces.passes import KEPT_DIVERGENCE, KEPT_TOP
from refutable.traces.trace import View


@METRICS.add
@metric(unit="share", tap="logits", invariant=GAUGES, reads="agreement")
def top_token_kept(view: View) -> Values:
    """Share of a prompt's tokens after which the most probable next token is the same under the intervention.

    In [0, 1], over the tokens after the first. A claim says what is changed (`under:`): the model as it is agrees with
    itself. Lad et al. 2024 (arXiv:2406.19384) delete and swap blocks so.
    """
    return view.column(KEPT_TOP)[:, -1]


@METRICS.add
@metric(unit="nats", tap="logits", invariant=GAUGES, reads="agreement")
def divergence_under(view: View) -> Values:
    """KL divergence from the model's output distribution to that under the intervention. At least 0.

    Sum of p log(p / q), p the model's as it is, mean over a prompt's tokens after the first. A claim says what is
    changed (`under:`).
    """
    return view.column(KEPT_DIVERGENCE)[:, -1]
