"""How much memory a pass will take, said before anything is loaded: weights, activations and reductions.

With N = B T padded tokens of the largest batch, width D, inner width I, heads H, vocabulary V, L blocks, s bytes a
number::

    weights      parameters s
    activations  N s (10 D + 3 I)  +  B H T^2 (s + 8) where attention is eager  +  B V (s K + 16)
    reductions   4 N (2 x 6 D); of `linearity` the matrices of some blocks, 64 D^2 each, and half as much to make one

A block holds its input, its four taps, queries, keys, values and what its MLP multiplies; eager attention the scores,
and their softmax in float32; the head the logits of the K positions it is applied to, and four copies of the last one's
in float32 (for `loss`, two of one whole prompt's); the reduction the six taps in float32, twice. The passes that follow
a gradient keep every block's activations (`reach`, and `through` what the last token's derivative needs of them) or
several copies of one block's (`perturbation`, `jacobian`).

A GPU frees what it has used sooner, and its kernels need no copies: without a gradient a block holds N s (4.5 D + 2 I)
there, I three times where the MLP is gated, and for `forward` two taps more; nothing is spent on reductions, but the
taps of all blocks are kept to the end where they are small beside the weights. benchmarks/memory.py holds this against
what a device reports. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refutable.measurement.instrument.cutting import LIMIT, OVERHEAD, cut_batches
from refutable.models import config_facts
from refutable.models.config import Config
from refutable.models.row import ModelRow
from refutable.models.subject import Subject
from refutable.models.weights import BYTES
from refutable.traces.passes import PROBE_PASSES, Pass

TAPS = 6
COPIES = {"perturbation": 2, "jacobian": 4, "through": 4}
"""How many copies of one block's activations a pass holds, over a forward pass's one; `reach` holds every block's."""
HEADLESS = ("heads", "rank", "coordinates", "sinks", "linearity", *COPIES)  # run the blocks alone
KEPT = 8  # times the width: what `through` keeps of each block, a token
LITTLE = 20  # taps are kept on a GPU where they are no more than one in so many of the weights
MATRICES = 2_000_000_000  # bytes that `linearity` may hold of its blocks' matrices; more than that only if one needs it
PER_BLOCK = 8 * 8  # bytes a coordinate squared: four maps in float64 of either half


def blocks_at_once(width: int) -> int:
    """Return of how many blocks `linearity` holds matrices at a time."""
    return max(1, MATRICES // (PER_BLOCK * width**2))


@dataclass(frozen=True, slots=True)
class Forecast:
    """Bytes that a pass will take on its device, beside what torch itself keeps there.

    Attributes:
        weights: of the model.
        activations: of the largest batch, in the block or the head that holds most.
        reductions: what the taps are turned into.
    """

    weights: int
    activations: int = 0
    reductions: int = 0

    @property
    def total(self) -> int:
        """All of it: a reduction is made while its block's activations are held."""
        return self.weights + self.activations + self.reductions

    def __str__(self) -> str:
        parts = (("weights", self.weights), ("activations", self.activations), ("reductions", self.reductions))
        told = ", ".join(f"{size / 1e9:.2f} GB of {name}" for name, size in parts)
        return f"{self.total / 1e9:.2f} GB ({told})"


def forecast(row: ModelRow, config: Config, subject: Subject, spec: Pass, lengths: Sequence[int]) -> Forecast:
    """Return what a pass will take.

    Args:
        row: the model's row of the registry.
        config: of its weights.
        subject: dtype and device.
        spec: the pass.
        lengths: number of tokens of each prompt; of one prompt, the least that a device must have, since batches are
            halved where memory runs out.
    """
    if spec.name in PROBE_PASSES or not lengths:
        return Forecast(0)
    size, kind = BYTES[subject.dtype], subject.device_type
    width, heads = config_facts.number(config, config_facts.WIDTH), config_facts.number(config, config_facts.HEADS)
    inner = config_facts.first(config, config_facts.INNER) or 4 * width
    words = config_facts.number(config, config_facts.VOCABULARY)
    eager = row.architecture.attention_implementation == "eager" or spec.name in COPIES
    layers = config_facts.number(config, config_facts.LAYERS)
    block = head = reductions = kept = largest = 0
    for cut in cut_batches(lengths, overhead=OVERHEAD.get(kind, 512), limit=LIMIT.get(kind, 8192)):
        batch, longest = len(cut), max(lengths[i] for i in cut)
        ends = len({lengths[i] for i in cut})
        tokens = batch * longest
        largest = max(largest, tokens)
        scores = batch * heads * longest**2 * (size + 8) if eager else 0
        block = max(block, round(tokens * size * _a_token(row, spec, kind, width, inner)) + scores)
        per_prompt = 8 * longest * words if spec.name == "loss" else 16 * batch * words
        head = max(head, batch * words * size * (ends if spec.name == "forward" else longest) + per_prompt)
        if kind != "cuda":
            reductions = max(reductions, 8 * tokens * TAPS * width if spec.name == "forward" else 4 * tokens * width)
        elif spec.name == "forward":
            kept = max(kept, layers * tokens * (TAPS - 1) * width)
    if spec.name == "linearity":  # one block's decomposition beside the matrices of several
        reductions += (min(layers, blocks_at_once(width)) * PER_BLOCK + PER_BLOCK // 2) * width**2
    if spec.name == "reach":  # every block's activations, and the logits with their gradient
        activations = block * layers + 2 * head
    else:
        activations = max(block * COPIES.get(spec.name, 1), 0 if spec.name in HEADLESS else head)
    if spec.name == "through":
        activations += layers * largest * size * KEPT * width
    if kept * LITTLE <= row.parameters:
        activations += kept * size
    return Forecast(row.parameters * size, activations, reductions)


def _a_token(row: ModelRow, spec: Pass, kind: str, width: int, inner: int) -> float:
    """Return how many values a block holds at once for each token, eager attention's scores apart."""
    if kind != "cuda" or spec.name == "reach" or spec.name in COPIES:
        return 10 * width + 3 * inner
    gated = row.architecture.norm == "RMSNorm"  # so it is in nearly all families with that norm
    return (6.5 if spec.name == "forward" else 4.5) * width + (3 if gated else 2) * inner
