"""The stream coordinate by coordinate: massive activations, and the few that make tokens alike (pass ``coordinates``).

Over all tokens of a prompt; `first_token: without` leaves the first out, which holds the massive activation of most
models. In raw form, coordinates include the stream's mean over the width; the mean-centred form excludes it.
"""

from refutable.metrics import ALL_BUT_MEAN, METRICS, Values, metric, read
from refutable.traces.passes import LARGEST, MEDIAN, TOKEN_COSINE, TOKEN_COSINE_LESS, WHERE_LARGEST
from refutable.traces.trace import View


@METRICS.add
@metric(unit="ratio", tap="block_output", per="layer", invariant=ALL_BUT_MEAN, reads="coordinates")
def largest_over_median(view: View) -> Values:
    """Largest absolute coordinate of a prompt's states after each block, over the median one. At least 1.

    A massive activation is a thousand times the median (Sun et al. 2024, arXiv:2402.17762), and larger than 100, which
    `largest_activation` says. Independent normal coordinates give 6.6 for 128 tokens of width 576. Infinite, and
    refused, if half of the coordinates are 0. Raw, it includes the states' means.
    """
    return read(view, LARGEST) / read(view, MEDIAN)


@METRICS.add
@metric(unit="norm", tap="block_output", per="layer", invariant=ALL_BUT_MEAN, reads="coordinates")
def largest_activation(view: View) -> Values:
    """Largest absolute coordinate of a prompt's states after each block. At least 0; raw, it includes the mean."""
    return read(view, LARGEST)


@METRICS.add
@metric(unit="code", tap="block_output", per="layer", invariant=ALL_BUT_MEAN, reads="coordinates")
def largest_coordinate(view: View) -> Values:
    """Number, from 0, of the coordinate that holds the largest activation of a prompt's states after each block.

    In [0, width - 1]; of several as large, the first. Raw, it includes the states' means.
    """
    return read(view, WHERE_LARGEST)


@METRICS.add
@metric(unit="cosine", tap="block_output", per="layer", invariant=ALL_BUT_MEAN, reads="coordinates")
def token_cosine(view: View) -> Values:
    """Mean cosine between the states of two tokens of a prompt after each block, over all pairs of tokens.

    In [-1 / (tokens - 1), 1]: anisotropy (Ethayarajh 2019, arXiv:1909.00512, who takes tokens of different texts). 0
    for independent directions; NaN if a state is zero. Raw, it includes the states' means.
    """
    return read(view, TOKEN_COSINE)


@METRICS.add
@metric(unit="cosine", tap="block_output", per="layer", invariant=ALL_BUT_MEAN, reads="coordinates")
def token_cosine_less_1(view: View) -> Values:
    """`token_cosine` without the coordinate that contributes most to it. In [-1 / (tokens - 1), 1].

    The coordinate is chosen for each prompt and block, by the mean over pairs of u_i v_i / (|u| |v|) (Timkey and van
    Schijndel 2021, arXiv:2109.04404). Raw, it includes the states' means.
    """
    return read(view, TOKEN_COSINE_LESS[1])


@METRICS.add
@metric(unit="cosine", tap="block_output", per="layer", invariant=ALL_BUT_MEAN, reads="coordinates")
def token_cosine_less_3(view: View) -> Values:
    """`token_cosine` without the three coordinates that contribute most to it. In [-1 / (tokens - 1), 1].

    Chosen as for `token_cosine_less_1`. Raw, it includes the states' means.
    """
    return read(view, TOKEN_COSINE_LESS[3])
