"""The passes over a model that claims can ask for, by name: `refutable passes` lists them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from refutable._util.registry import Registry
from refutable.errors import BadInput, UnknownName

ProbeName = Literal["wiring", "rotation"]
BlockChange = Literal["ablate-attention", "ablate-mlp", "rewire-parallel", "rewire-sequential"]
NormChange = Literal["keep-norm", "never-shorten", "never-lengthen"]
OrderChange = Literal["skip-block", "swap-blocks"]
CoordinateChange = Literal["zero-coordinate", "mean-coordinate"]
Change = Literal[
    BlockChange, "soften-attention", NormChange, "shuffle-tokens", OrderChange, CoordinateChange, "zero-weight"
]
Intervention = Literal["none", Change]
BlockWord = Literal["all", "first", "middle", "last", "earlier-half", "later-half"]
BlockNumber = Annotated[int, Field(ge=1, strict=True)]  # counts from 1, as `layer:` does
Blocks = BlockWord | BlockNumber | Annotated[tuple[BlockNumber, ...], Field(min_length=2)]
Bos = Literal["default", "with", "without"]
First = Literal["with", "without"]
Spare = Literal["none", "first"]
Positions = Literal["all", "last", "none"]
PROBE_PASSES: tuple[str, ...] = get_args(ProbeName)
COORDINATE_CHANGES: tuple[str, ...] = get_args(CoordinateChange)
EACH_TOKEN: tuple[str, ...] = (*get_args(BlockChange), *get_args(NormChange), "skip-block", *COORDINATE_CHANGES)
UNCLOSED: tuple[str, ...] = (*get_args(NormChange), *get_args(OrderChange), *COORDINATE_CHANGES)  # no block adds up

NO_BOS = "its tokens are stand-ins, and none is a beginning-of-sequence token"

SINK_THRESHOLD = 0.3  # mean attention to the first token above which a head is a sink
KRYLOV = {"seed": 0, "tolerance": 1e-3, "least_steps": 32, "steps": 96}  # how largest values are looked for


@dataclass(frozen=True, slots=True)
class PassKind:
    """A kind of pass. To add one: docs/adding-a-pass.md.

    Attributes:
        name: as metrics write it in ``reads``.
        run: ``run(model, prompts, key, about, spec)`` returns the trace; or where it is, as ``"package.module:run"``,
            which is imported only when something is measured. A probe's takes (network, family, key, about).
        parameters: what determines its numbers besides the prompts and the weights; kept in the trace's key, so that a
            new version of it is measured again.
        changeable: whether it can be made under an intervention.
        dynamic: whether it follows changes, so that claims on it are ``evidence: dynamical``.
        one_block: whether it can be made of the last block alone, where a claim asks for no other.
        first_token: for a pass that sums over a prompt's tokens, whether its plain columns count the first; the others
            stand beside them (`beside`).
        columns: raised when columns are added beside the others, which keep their numbers: traces are measured again,
            and claims locked before stay as they are.
        about: what it does, in a sentence or two; by default what `run` says of itself.
        positions: which tokens of a prompt it leaves numbers of: ``all``, ``last`` or ``none``.
        compares: whether it holds the changed model against the model as it is, so that a claim on it names a change.
        closes: whether it checks that a block's output is its input plus what was added, which some changes end.
    """

    name: str
    run: str | Callable[..., Any]
    parameters: Mapping[str, float] = field(default_factory=dict)
    changeable: bool = False
    dynamic: bool = False
    one_block: bool = False
    first_token: First | None = None
    columns: int = 1
    about: str = ""
    positions: Positions = "all"
    compares: bool = False
    closes: bool = False

    @property
    def doc(self) -> str:
        """What it does."""
        return self.about or (inspect.getdoc(self.run) or "" if callable(self.run) else "")


PASSES: Registry[PassKind] = Registry("pass", PassKind)
_MADE_BY = "refutable.measurement.passes"
for _kind in (
    PassKind(
        "forward",
        f"{_MADE_BY}.forward:run_pass",
        changeable=True,
        closes=True,
        about="Runs prompts through the weights, as trained or under an intervention.",
    ),
    PassKind(
        "loss",
        f"{_MADE_BY}.loss:run_loss",
        {"version": 1},
        changeable=True,
        about="Next-token loss over a prompt, as trained or under an intervention.",
    ),
    PassKind(
        "heads",
        f"{_MADE_BY}.heads:run_heads",
        {"version": 2},
        about="What each attention head adds to the residual stream.",
        positions="last",
    ),
    PassKind(
        "rank",
        f"{_MADE_BY}.rank:run_rank",
        {"version": 2},
        first_token="without",
        columns=2,
        about="In how many directions, and how far, a prompt's tokens differ before and after each block.",
    ),
    PassKind(
        "reach",
        f"{_MADE_BY}.reach:run_reach",
        {"version": 1},
        first_token="with",
        columns=2,
        about="From how far back the most probable next token is moved, by the gradient of its log-probability.",
    ),
    PassKind(
        "coordinates",
        f"{_MADE_BY}.coordinates:run_coordinates",
        {"version": 1},
        first_token="with",
        about="The largest coordinate of a prompt's states after each block, and the few that make tokens alike.",
    ),
    PassKind(
        "linearity",
        f"{_MADE_BY}.linearity:run_linearity",
        {"version": 1},
        first_token="with",
        about="How near each block is to one linear map of its input, fitted on the other half of the prompts.",
    ),
    PassKind(
        "sinks",
        f"{_MADE_BY}.sinks:run_sinks",
        {"version": 1, "threshold": SINK_THRESHOLD},
        first_token="without",
        about="How much each head attends to a prompt's first token; never more than one head's pattern is held.",
    ),
    PassKind(
        "induction",
        f"{_MADE_BY}.induction:run_induction",
        {"version": 1, "seed": 0},
        about="How much each head attends, in random tokens that stand twice, to what followed the first time.",
    ),
    PassKind(
        "lens",
        f"{_MADE_BY}.lens:run_lens",
        {"version": 1},
        about="Reads each block's output with the final norm and the head, as if it were the last one's.",
        positions="last",
    ),
    PassKind(
        "agreement",
        f"{_MADE_BY}.agreement:run_agreement",
        {"version": 1},
        changeable=True,
        compares=True,
        about="Holds the predictions of the model under an intervention against those of the model as it is.",
    ),
    PassKind(
        "perturbation",
        f"{_MADE_BY}.perturbation:run_perturbation",
        {"version": 1, "seed": 0, "directions": 3},
        dynamic=True,
        about="Follows a small change of the stream through the blocks, exactly to first order.",
        positions="last",
    ),
    PassKind(
        "jacobian",
        f"{_MADE_BY}.jacobian:run_jacobian",
        {"version": 2, **KRYLOV},
        dynamic=True,
        one_block=True,
        about="Largest singular value and spectral radius of each block's Jacobian.",
        positions="last",
    ),
    PassKind(
        "through",
        f"{_MADE_BY}.through:run_through",
        {"version": 1, **KRYLOV},
        dynamic=True,
        about="Largest singular value of the Jacobian of all blocks in a row.",
        positions="last",
    ),
    PassKind(
        "wiring",
        f"{_MADE_BY}.wiring_probe:probe_wiring",
        {"version": 2},
        about="A probe of a reduced instance: does either module of a block read what the other adds?",
        positions="none",
    ),
    PassKind(
        "rotation",
        f"{_MADE_BY}.rotation_probe:probe_rotation",
        about="A probe of a reduced instance: does the rotation reach the stream past attention's pattern?",
        positions="none",
    ),
):
    PASSES.add(_kind)


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a model.

    Attributes:
        name: which.
        prompts: name of the prompt set; none for a probe.
        intervention: what is changed in the forward pass.
        blocks: which blocks are changed, or whose Jacobian is taken.
        bos: whether prompts begin with the beginning-of-sequence token: as the tokenizer has it, with it, or without.
        spare: which token an intervention leaves as it is: none, or the first.
        coordinate: which coordinate of a block's output is set to zero or its mean, from 0; None unless one is.
    """

    name: str
    prompts: str = ""
    intervention: Intervention = "none"
    blocks: Blocks = "all"
    bos: Bos = "default"
    spare: Spare = "none"
    coordinate: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is the forward pass of the model as it is, which most claims read."""
        return self.name == "forward" and self.intervention == "none"

    @property
    def title(self) -> str:
        """What the report calls it."""
        if self.intervention != "none":
            if self.intervention == "shuffle-tokens":
                return f"{self.name} under {self.intervention}"
            which = blocks_told(self.blocks, self.intervention)
            spared = ", the first token spared" if self.spare == "first" else ""
            at = "" if self.coordinate is None else f" ({self.coordinate})"
            return f"{self.name} under {self.intervention}{at} of {which}{spared}"
        return self.name

    @property
    def made_of(self) -> str:
        """Its name and, if it is not of every block, whose: what tells one pass over a model as it is from another."""
        return made_of(self.name, self.blocks)

    @property
    def facts(self) -> dict[str, object]:
        """What its trace's key holds of it; nothing but its name where it is plain, as it always was."""
        facts: dict[str, object] = {"pass": self.name}
        kind = PASSES[self.name]
        if kind.parameters:
            facts["parameters"] = dict(kind.parameters)
        if kind.columns > 1:
            facts["columns"] = kind.columns
        if self.intervention != "none":
            facts["intervention"] = self.intervention
        if self.intervention != "none" or kind.one_block:
            facts["blocks"] = self.blocks
        if self.bos != "default":  # a pass as the tokenizer has it keeps its address
            facts["bos"] = self.bos
        if self.spare != "none":
            facts["spare"] = self.spare
        if self.coordinate is not None:
            facts["coordinate"] = self.coordinate
        return facts


def blocks_told(blocks: Blocks, change: str = "") -> str:
    """Return which blocks are changed, in words."""
    match blocks:
        case "all":
            return "every block"
        case "earlier-half" | "later-half":
            return f"the {blocks.removesuffix('-half')} half of the blocks"
        case tuple():
            return f"blocks {_spans(blocks)}"
    word = f"block {blocks}" if isinstance(blocks, int) else f"the {blocks} block"
    return f"{word} and the next" if change == "swap-blocks" else word


def _spans(numbers: tuple[int, ...]) -> str:
    """Return ascending numbers in words, three or more in a row by the first and the last: ``3, 16 to 30``."""
    rows: list[list[int]] = []
    for number in numbers:
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    parts = (f"{row[0]} to {row[-1]}" if len(row) > 2 else ", ".join(map(str, row)) for row in rows)
    return ", ".join(parts)


def is_one_with_a_next(blocks: object) -> bool:
    """Whether `blocks` names one block that may have a next, as ``swap-blocks`` needs."""
    return blocks in ("first", "middle") or _is_number(blocks)


def made_of(name: str, blocks: Blocks) -> str:
    """Return a pass in the words of a table's column `Pass`: ``jacobian``, or ``jacobian of the last block``."""
    return f"{name} of the last block" if blocks == "last" else name


def check_change(under: str, blocks: Blocks, kind: PassKind) -> None:
    """Refuse a change that a pass cannot be made under, or that does not say where it is made.

    Raises:
        BadInput: says which, and what to write.
    """
    if under in UNCLOSED and kind.closes:
        able = ", ".join(each for each in PASSES if PASSES[each].changeable and not PASSES[each].closes)
        raise BadInput(
            f"under {under} a block's output is not its input plus what it adds, so no block closes and nothing of the"
            f" pass {kind.name!r} can be believed; read the pass {able}"
        )
    if under == "swap-blocks" and not is_one_with_a_next(blocks):
        raise BadInput(
            "swap-blocks exchanges one block with the next, and this names none that has a next; write blocks: middle,"
            " first or a number"
        )
    if under == "none" and kind.compares:
        raise BadInput(
            f"the pass {kind.name!r} holds a changed model against the model as it is, and nothing is changed; add"
            f" under: {', '.join(get_args(Change))}"
        )


def _is_number(blocks: object) -> bool:
    return isinstance(blocks, int) and not isinstance(blocks, bool) and blocks >= 1


def _are_numbers(blocks: object) -> bool:
    return (
        isinstance(blocks, list | tuple)
        and len(blocks) > 1
        and all(map(_is_number, blocks))
        and list(blocks) == sorted(set(blocks))
    )


def pass_of(
    name: str,
    prompts: str,
    under: str,
    blocks: Blocks,
    bos: str,
    first_token: str = "with",
    coordinate: int | None = None,
) -> Pass:
    """Return the pass that a program asks for.

    Raises:
        BadInput: a word that is not known, a probe, or a change that this pass does not make.
    """
    kind = PASSES[name]
    if name in PROBE_PASSES:
        raise BadInput(f"{name!r} is a probe of a reduced instance; a claim with `evidence: wiring` asks for it")
    for word, given, known in (
        ("under", under, ("none", *get_args(Change))),
        ("blocks", "all" if _is_number(blocks) or _are_numbers(blocks) else blocks, get_args(BlockWord)),
        ("bos", bos, get_args(Bos)),
        ("first_token", first_token, get_args(First)),
    ):
        if given not in known:
            raise UnknownName(f"{word}=", str(given), known)
    if under != "none" and not kind.changeable:
        able = ", ".join(each for each in PASSES if PASSES[each].changeable)
        raise BadInput(f"the pass {name!r} is of the model as it is; remove under={under!r}, or run one of {able}")
    if blocks != "all" and under == "none" and not kind.one_block:
        raise BadInput(f"blocks={blocks!r} says where `under` changes the model, and nothing is changed; remove it")
    if under == "none" and blocks not in ("all", "last"):
        raise BadInput(f"blocks={blocks!r}: the pass {name!r} is of all blocks or the last; write 'all' or 'last'")
    check_change(under, blocks, kind)
    if (coordinate is not None) != (under in COORDINATE_CHANGES):
        raise BadInput(
            f"coordinate= says which coordinate under= sets ({' or '.join(COORDINATE_CHANGES)}); give both or neither"
        )
    if first_token == "without" and under not in EACH_TOKEN:
        raise BadInput(f"first_token={first_token!r} spares it a change made token by token; remove it")
    named = tuple(blocks) if isinstance(blocks, list) else blocks
    return Pass(name, prompts, under, named, bos, "first" if first_token == "without" else "none", coordinate)  # type: ignore[arg-type]


LAST_TOKEN = "last"  # meta["positions"] of a pass that reads the last token of each prompt alone


def paired(stem: str) -> tuple[str, str]:
    """Return the raw and the mean-centred column of a quantity."""
    return stem, f"centred_{stem}"


def beside(stem: str, first_token: First | None) -> str:
    """Return the column of a quantity with or without the first token; None for as the pass has it by default."""
    return stem if first_token is None else f"{stem}.{first_token}_first"


LOSS = "loss"
REACH_TOKENS, REACH_WRITE = "reach.tokens", "reach.write"
RANK_IN, RANK_OUT = "rank.in", "rank.out"
VARIANCE_IN, VARIANCE_OUT = "variance.in", "variance.out"
LARGEST, MEDIAN, WHERE_LARGEST = "coordinates.largest", "coordinates.median", "coordinates.where"
TOKEN_COSINE = "coordinates.cosine"
TOKEN_COSINE_LESS = {k: f"coordinates.cosine_less_{k}" for k in (1, 3)}
LINEARITY, UPDATE_LINEARITY = "linearity.block", "linearity.update"
SINK_ATTENTION, SINK_RATE = "sinks.attention", "sinks.rate"
INDUCTION = "induction.largest"
LENS_DIVERGENCE, LENS_ENTROPY = "lens.divergence", "lens.entropy"
KEPT_TOP, KEPT_DIVERGENCE = "agreement.top", "agreement.divergence"
HEAD_RESIDUAL = "heads.residual"
HEAD_STEMS = ("heads.sum_norm", "heads.norm_sum", "heads.norm_max", "heads.cosine", "heads.norm_root")
PERTURBATION_STEMS = ("perturbation.in", "perturbation.out", "perturbation.noise_gain", "perturbation.radial_gain")
DEPTH_COSINE = "depth_cosine"
JACOBIAN_NORM = "jacobian.norm"
JACOBIAN_RESIDUAL = "jacobian.residual"
THROUGH_NORM, THROUGH_RESIDUAL = "through.norm", "through.residual"
JACOBIAN_RADIUS = "jacobian.radius"
RADIUS_RESIDUAL = "jacobian.radius_residual"
