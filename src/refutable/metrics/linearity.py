"""How near a block is to a linear map of its input (pass ``linearity``).

Over all tokens of a prompt; `first_token: without` leaves the first out, whose massive activation has most of the
squared length that is to be explained. In raw form, states include their means over the width; the mean-centred form
excludes them.

Razzhigaev et al. 2024 (arXiv 2405.12250, 3.1) fit and score on the same tokens, which gives 1 for any states once there
are no more tokens than coordinates. Here the map is fitted on other prompts than those it is tried on.
"""

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric, read
from refutable.traces.passes import LINEARITY, UPDATE_LINEARITY
from refutable.traces.trace import View


@METRICS.add
@metric(unit="explained share", tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN, reads="linearity")
def linearity(view: View) -> Values:
    """Share of what tells a prompt's states apart after each block that a linear map of those before it explains.

    1 - |Y - X A|^2 / |Y|^2 (Frobenius norms; X and Y less their means over the tokens). At most 1, for a block that is
    linear; 0 for a guess of the mean; below 0 where the map, fitted on the other half of the prompts, misleads. NaN,
    and refused, if all states are one. Raw, it includes the means.
    """
    return read(view, LINEARITY)


@METRICS.add
@metric(unit="explained share", tap="block_output, block_input", per="layer", invariant=ALL_BUT_MEAN, reads="linearity")
def update_linearity(view: View) -> Values:
    """Share of what tells a block's updates of a prompt's states apart that a linear map of these states explains.

    As `linearity`, of Y - X: the same error over what the block adds rather than over the stream, which a skip
    connection alone makes linear. At most 1. NaN, and refused, if a block adds the same to every state. Raw, it
    includes the means.
    """
    return read(view, UPDATE_LINEARITY)
