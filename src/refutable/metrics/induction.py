"""Induction heads (pass ``induction``)."""

from refutable.metrics import GAUGES, METRICS, Values, metric
from refutable.traces.passes import INDUCTION
from refutable.traces.trace import View


@METRICS.add
@metric(unit="share", tap="attention probabilities", per="layer", invariant=GAUGES, reads="induction")
def induction_score(view: View) -> Values:
    """Attention of a block's best head to the token after the last occurrence of the one it reads. In [0, 1].

    On random tokens that stand twice, as many as the prompt has, after the prompt's first token: mean over the second
    half, of the head for which it is largest (prefix matching, Olsson et al. 2022, arXiv:2209.11895). Uniform attention
    to m repeated tokens gives about 0.7 / m; that the largest of some heads is taken adds to what chance gives.
    """
    return view.column(INDUCTION)
