"""The design as data: which twins are trained, and in what each differs from the baseline.

The baseline is a GPT-NeoX as Pythia is one (parallel blocks, two LayerNorms, rotary positions on a quarter of each
head, 8 blocks, 8 heads) with tied embeddings, so that the smallest size stays under 4 MB. Every other cell changes one
factor of it, or of the cell that it names in `against`; the crossings change two. All cells of a seed read the same
windows of text in the same order, and matrices of the same name and shape begin with the same numbers.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from refutable.twins.errors import TwinsError

Data = Literal["all", "one source", "four sources", "shuffled"]

BASE = "base"
SEEDS = 6  # the fewest whose signs, all alike, prove a two-sided difference at 0.05
MANY_SEEDS = 8  # for wiring, and for cells that share a Holm family of up to six tests


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the design: what a network is and how it is trained, but for its size and seed.

    Attributes:
        name: of the cell, in letters, digits, points and hyphens.
        factor: the factor that it is a level of; ``class`` cells differ in several and are subjects, not an experiment.
        against: the cell that it differs from in that factor alone.
        family: `model_type` of the class in transformers.
        wiring: parallel or sequential, where the class has both; else what the class is.
        heads: number of attention heads; the width stays.
        rotary: share of each head that is turned; None where positions are learned.
        depth: number of blocks.
        rule: of initialisation, a key of `refutable.models.init_rules.RULES`, or ``unscaled``: 0.02 everywhere.
        output_scale: factor on the first weights of the two matrices that write to the residual stream.
        tied: whether the unembedding is the embedding.
        rate: factor on the learning rate.
        longer: factor on the number of training steps.
        damping: factor on the residual stream after every block, in training and afterwards.
        data: which text.
        seeds: how many.
        sizes: in which sizes it is trained.
    """

    name: str
    factor: str
    against: str = BASE
    family: str = "gpt_neox"
    wiring: Literal["parallel", "sequential"] = "parallel"
    heads: int = 8
    rotary: float | None = 0.25
    depth: int = 8
    rule: str = "small-wang"
    output_scale: float = 1.0
    tied: bool = True
    rate: float = 1.0
    longer: float = 1.0
    damping: float = 1.0
    data: Data = "all"
    seeds: int = SEEDS
    sizes: tuple[str, ...] = ("small", "medium")


@dataclass(frozen=True, slots=True)
class Size:
    """A size of network and how long it is trained.

    Attributes:
        name: of the size.
        width: of the residual stream; the MLP is four times as wide.
        vocabulary: number of tokens.
        batch: windows a step.
        context: tokens a window.
        steps: of training.
        rate: the largest learning rate.
    """

    name: str
    width: int
    vocabulary: int
    batch: int
    context: int
    steps: int
    rate: float

    @property
    def tokens(self) -> int:
        """How many tokens one twin reads."""
        return self.steps * self.batch * self.context


@dataclass(frozen=True, slots=True)
class Twin:
    """One training run: a cell, a size and a seed."""

    cell: Cell
    size: Size
    seed: int

    @property
    def name(self) -> str:
        """Its name in every file: size, cell, seed."""
        return f"{self.size.name}.{self.cell.name}.{self.seed}"


SIZES: dict[str, Size] = {
    size.name: size
    for size in (
        Size("tiny", width=32, vocabulary=256, batch=4, context=64, steps=6, rate=2e-3),  # for tests, of no result
        Size("small", width=128, vocabulary=2048, batch=32, context=256, steps=1280, rate=3e-3),
        Size("medium", width=256, vocabulary=4096, batch=32, context=256, steps=800, rate=2e-3),
        Size("large", width=704, vocabulary=4096, batch=32, context=256, steps=800, rate=1e-3),
        Size("shipped", width=128, vocabulary=2048, batch=64, context=256, steps=3000, rate=4e-3),
    )
}

_SEQUENTIAL = Cell("sequential", "wiring", wiring="sequential", seeds=MANY_SEEDS, sizes=("small", "medium", "large"))
_TO_SEQUENTIAL = replace(_SEQUENTIAL, against="sequential", seeds=SEEDS)
_SMALL = ("small",)
_BOTH = ("small", "medium")
_UNSCALED = Cell("init-unscaled", "initialisation", rule="unscaled", sizes=_SMALL)
_DOUBLE = Cell("init-double", "initialisation", output_scale=2.0, seeds=MANY_SEEDS, sizes=_SMALL)
_LLAMA = Cell("rmsnorm", "norm", family="llama", wiring="sequential", rotary=1.0, against="layernorm")

CELLS: tuple[Cell, ...] = (
    Cell(BASE, "wiring", seeds=MANY_SEEDS, sizes=("small", "medium", "large")),
    _SEQUENTIAL,
    *(Cell(f"heads-{n}", "heads", heads=n, seeds=SEEDS if n == 4 else MANY_SEEDS) for n in (2, 4, 16)),
    *(
        replace(_TO_SEQUENTIAL, name=f"sequential-heads-{n}", factor="heads, sequential", heads=n, sizes=_BOTH)
        for n in (2, 4, 16)
    ),
    *(Cell(f"rotary-{s}", "rotary", rotary=s, seeds=SEEDS if s == 0.5 else MANY_SEEDS) for s in (0.0, 0.5, 1.0)),
    *(Cell(f"depth-{n}", "depth", depth=n) for n in (4, 16, 24)),
    *(
        replace(_TO_SEQUENTIAL, name=f"sequential-depth-{n}", factor="depth, sequential", depth=n, sizes=_SMALL)
        for n in (4, 16, 24)
    ),
    Cell("init-gpt2", "initialisation", rule="gpt2"),
    _UNSCALED,
    Cell("init-half", "initialisation", output_scale=0.5),
    replace(_DOUBLE, sizes=_BOTH),
    Cell("one-norm", "norms", family="phi"),
    replace(_LLAMA, name="layernorm", family="stablelm", against="rmsnorm"),
    _LLAMA,
    replace(_LLAMA, name="peri-norm", factor="norm placement", family="glm4", against="rmsnorm"),
    Cell(
        "learned-positions",
        "positions",
        family="gpt2",
        wiring="sequential",
        rotary=None,
        against="sequential",
        seeds=MANY_SEEDS,
    ),
    Cell("softmax", "attention", family="qwen3", wiring="sequential", rotary=1.0, against="gated"),
    Cell("gated", "attention", family="qwen3_next", wiring="sequential", rotary=1.0, against="softmax"),
    Cell("rate-half", "learning rate", rate=0.5),
    Cell("rate-double", "learning rate", rate=2.0),
    Cell("untied", "tying", tied=False),
    Cell("one-source", "data", data="one source", sizes=_SMALL),
    Cell("four-sources", "data", data="four sources", sizes=_SMALL),
    Cell("shuffled", "control", data="shuffled", sizes=_SMALL),
    Cell("damped", "damping", damping=0.8, sizes=_SMALL),
    *(
        replace(_DOUBLE, name=f"heads-{n}-init-double", factor="initialisation by heads", against=f"heads-{n}", heads=n)
        for n in (2, 16)
    ),
    Cell("depth-16-rotary-1.0", "rotary, 16 blocks", against="depth-16", depth=16, rotary=1.0),
    replace(_UNSCALED, name="depth-24-init-unscaled", factor="initialisation, 24 blocks", against="depth-24", depth=24),
    Cell("gptj", "class", family="gptj", sizes=_SMALL),
)  # fmt: skip

# Trained for longer and shipped with the package as subjects: half as deep, so that nine of them are 21 MB.
_SHIPPED = Cell("parallel", "shipped", depth=4, seeds=1, sizes=("shipped",))
SHIPPED: tuple[Cell, ...] = (
    _SHIPPED,
    replace(_SHIPPED, name="sequential", wiring="sequential"),
    replace(_SHIPPED, name="heads-2", heads=2),
    replace(
        _SHIPPED, name="heads-16", heads=16, longer=2.0
    ),  # of a head of 8, a quarter turns two numbers: it learns slowly
    replace(_SHIPPED, name="rotary-1.0", rotary=1.0),
    replace(_SHIPPED, name="deep", depth=8),
    replace(_SHIPPED, name="gptj", family="gptj"),
    replace(_SHIPPED, name="gpt2", family="gpt2", wiring="sequential", rotary=None),
    replace(_SHIPPED, name="llama", family="llama", wiring="sequential", rotary=1.0),
)

LEFT_OUT: dict[str, str] = {
    "parallel blocks with RMSNorm": "no class of transformers has them with all else of GPT-NeoX; the norm is compared"
    " in sequential blocks with a gated MLP, StableLM's against LLaMA's",
    "sigmoid in place of softmax": "no causal class of transformers has it; attention gated by a sigmoid (Qwen3-Next)"
    " is compared with the same without the gate (Qwen3)",
    "peri-norm at fixed class": "GLM-4 against LLaMA: the same but for the two norms of the updates, and for which"
    " halves of a head are turned together",
}


def cells_of(size: str) -> tuple[Cell, ...]:
    """Return the cells of a size: its own, or every cell of the design for ``tiny``."""
    return SHIPPED if size == "shipped" else tuple(cell for cell in CELLS if size == "tiny" or size in cell.sizes)


def cell_of(name: str, size: str = "tiny") -> Cell:
    """Return the cell of a name, of a size.

    Raises:
        TwinsError: there is none.
    """
    for cell in cells_of(size):
        if cell.name == name:
            return cell
    raise TwinsError(f"unknown cell {name!r}; known: {', '.join(cell.name for cell in cells_of(size))}")


def make_twin(cell: Cell, size: str, seed: int) -> Twin:
    """Return a twin of a cell, trained for as long as the cell asks.

    Args:
        cell: the cell.
        size: a key of `SIZES`.
        seed: of training.
    """
    found = SIZES[size]
    return Twin(cell, replace(found, steps=round(found.steps * cell.longer)), seed)


def twins_of(sizes: Iterable[str], globs: Sequence[str] = ("*",), seeds: Iterable[int] | None = None) -> list[Twin]:
    """Return the twins of the design in some sizes, those whose cell's name a glob matches.

    Args:
        sizes: keys of `SIZES`; ``tiny`` has every cell.
        globs: of the cells' names.
        seeds: which seeds; None for as many as each cell has.

    Raises:
        TwinsError: an unknown size, or globs that match no cell of these sizes.
    """
    chosen, asked = list(sizes), None if seeds is None else tuple(seeds)
    if unknown := [size for size in chosen if size not in SIZES]:
        raise TwinsError(f"unknown size {unknown[0]!r}; known: {', '.join(SIZES)}")
    found = [
        make_twin(cell, size, seed)
        for size in chosen
        for cell in cells_of(size)
        if any(fnmatch.fnmatch(cell.name, glob) for glob in globs)
        for seed in (range(cell.seeds) if asked is None else asked)
    ]
    if not found:
        known = ", ".join(dict.fromkeys(cell.name for size in chosen for cell in cells_of(size)))
        raise TwinsError(f"no cell of size {', '.join(chosen)} matches {', '.join(globs)}; known: {known}")
    return found
