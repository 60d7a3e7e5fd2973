"""The scale-folded form: norms of module inputs before the norm's learned scale and bias.

The scale c of a block's norm may be moved into the matrices that read it without changing the function; the norm of
``attention_input`` then changes by c and a gain with it. Before scale and bias there is nothing left to move, and the
norm follows from primitives that every trace holds::

    |x / rms(x)| = r / sqrt(r^2 / D + eps),  r = |x|, or |x - mean(x)| with LayerNorm

where x is the stream that the norm reads: the block's input or, for the MLP of a sequential block, that plus the
attention update, r^2 = |x|^2 + |a|^2 + 2 x.a. It is sqrt(D), all but eps.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from refutable.models.config import Config
from refutable.models.config_facts import first
from refutable.models.families import Family
from refutable.traces.trace import Tap, View

EPS = ("layer_norm_epsilon", "layer_norm_eps", "rms_norm_eps", "norm_epsilon", "norm_eps")
DEFAULT_EPS = 1e-5  # of torch's LayerNorm, which OPT and OLMo leave alone
UNNORMED = {"olmo2"}  # their blocks read the stream as it is
UNSCALED = {"olmo"}  # their norms have no learned scale


@dataclass(frozen=True, slots=True)
class InputNorm:
    """How a model norms what its attention and its MLP read.

    Attributes:
        centring: whether it takes the mean off first (LayerNorm).
        eps: what it adds to the mean square.
        wiring: whether the MLP reads the block's input or the stream after attention.
        absent: whether modules read the stream as it is, so that there is no scale to fold.
    """

    centring: bool
    eps: float
    wiring: Literal["parallel", "sequential"]
    absent: bool = False


def input_norm(family: Family, config: Config) -> InputNorm:
    """Return how a model with this configuration norms what its modules read."""
    eps = first(config, EPS)
    return InputNorm(
        centring=family.norm == "LayerNorm",
        eps=DEFAULT_EPS if eps is None else float(eps),
        wiring=family.wiring_of(config),
        absent=family.model_type in UNNORMED,
    )


@dataclass(frozen=True, slots=True)
class FoldedView(View):
    """A view whose input taps are read before the norm's learned scale and bias."""

    input_norm: InputNorm = InputNorm(False, 0.0, "sequential", absent=True)

    def norm(self, tap: Tap) -> NDArray[np.float64]:
        """Return the norm at a tap, shape (rows, layers); of an input tap, before scale and bias."""
        if self.input_norm.absent or tap not in ("attention_input", "mlp_input"):
            return View.norm(self, tap)
        width = int(self.trace.meta["d_model"])
        squared = self._squared_stream(after_attention=tap == "mlp_input" and self.input_norm.wiring == "sequential")
        kept: NDArray[np.float64] = np.sqrt(squared / (squared / width + self.input_norm.eps))
        return self.gathered("norm", kept) if self.position == "whole" else kept

    def _squared_stream(self, *, after_attention: bool) -> NDArray[np.float64]:
        """Return the squared norm of what the norm reads, shape (rows, layers); token by token of whole prompts."""
        plain = View(**{**_fields(self), "centred": self.input_norm.centring}).of_tokens
        squared = plain.norm("block_input") ** 2
        if after_attention:
            squared = squared + plain.norm("attention_update") ** 2
            squared = squared + 2 * plain.product("block_input", "attention_update")
        return squared


def fold(view: View, input_norm: InputNorm) -> View:
    """Return the scale-folded form of a view."""
    return FoldedView(**_fields(view), input_norm=input_norm)


def _fields(view: View) -> dict[str, Any]:
    return {f.name: getattr(view, f.name) for f in fields(View)}
