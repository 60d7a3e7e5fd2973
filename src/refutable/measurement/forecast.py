"""How much memory a pass will take, said before anything is loaded: weights, activations and reductions.

With N = B T padded tokens of the largest batch, width D, inner width I, heads H, vocabulary V, L blocks, s bytes a
number::

    weights      parameters s
    activations  N s (10 D + 3 I)  +  B H T^2 (s + 8) where attention is eager  +  B V (s K + 16)
    reductions   4 N (2 x 6 D); of `linearity` the matrices of some blocks, 64 D^2 each, and half as much to make one

A block holds its input, its four taps, queries, keys, values and what its MLP multiplies; eager attention the scores,
and their softmax in float32; the head the logits of the K positions it is applied to, and four copies of the last one's
in float32 (for `loss`, two of one whole prompt's); the reduction the six taps in float32, twice. The passes that follow
a gradient keep every block's activations (`reach`) or several copies of one block's (`perturbation`, `jacobian`,
`through`). benchmarks/memory.py holds this against what a device reports. Needs no torch.
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
HEADLESS = ("heads", "rank", "linearity", *COPIES)  # run the blocks alone
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
    block = head = reductions = 0
    for cut in cut_batches(lengths, overhead=OVERHEAD.get(kind, 512), limit=LIMIT.get(kind, 8192)):
        batch, longest = len(cut), max(lengths[i] for i in cut)
        ends = len({lengths[i] for i in cut})
        tokens = batch * longest
        scores = batch * heads * longest**2 * (size + 8) if eager else 0
        block = max(block, tokens * size * (10 * width + 3 * inner) + scores)
        per_prompt = 8 * longest * words if spec.name == "loss" else 16 * batch * words
        head = max(head, batch * words * size * (ends if spec.name == "forward" else longest) + per_prompt)
        reductions = max(reductions, 8 * tokens * TAPS * width if spec.name == "forward" else 4 * tokens * width)
    if spec.name == "linearity":  # one block's decomposition beside the matrices of several
        layers = config_facts.number(config, config_facts.LAYERS)
        reductions += (min(layers, blocks_at_once(width)) * PER_BLOCK + PER_BLOCK // 2) * width**2
    if spec.name == "reach":  # every block's activations, and the logits with their gradient
        activations = block * config_facts.number(config, config_facts.LAYERS) + 2 * head
    else:
        activations = max(block * COPIES.get(spec.name, 1), 0 if spec.name in HEADLESS else head)
    return Forecast(row.parameters * size, activations, reductions)
