"""How far a block turns the stream it was given."""

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric
from refutable.traces.trace import View


@METRICS.add
@metric(unit="cosine distance", tap="block_input, block_output", per="layer", invariant=ALL_BUT_MEAN)
def block_influence(view: View) -> Values:
    """1 less the cosine between a block's input and its output: 0 if the block only scales the stream. In [0, 2].

    ShortGPT's measure of how much a block matters (Men et al. 2024, arXiv:2403.03853), where it is the mean over all
    tokens: `position: all` with `first_token: with`. A zero vector gives NaN. Raw, it includes the stream's mean.
    """
    lengths = view.norm("block_input") * view.norm("block_output")
    return 1 - view.product("block_input", "block_output") / lengths
