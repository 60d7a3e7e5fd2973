"""How the causal claims meet the experiment: contrasts and predictions, declared before the run; or why they cannot.

A claim with several parts is SUPPORTED if all are and REFUTED if one is. `any` claims (a change in something) are
SUPPORTED if one part is, after Holm over the parts. The margin of 0.02 in log gain is the claims catalogue's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from twins.effects import ALPHA, Decision, Effect, Values, contrast, difference, holm, interaction, judge, slope
from twins.errors import TwinsError

MARGIN = "within [-0.02, 0.02]"
SEQUENTIAL_LESS = difference("base", "sequential")
SHARES = {"rotary-0.0": 0.0, "base": 0.25, "rotary-0.5": 0.5, "rotary-1.0": 1.0}
DEPTHS = {"depth-4": math.log(4), "base": math.log(8), "depth-16": math.log(16), "depth-24": math.log(24)}
HEADS = {"heads-2": math.log(2), "heads-4": math.log(4), "base": math.log(8), "heads-16": math.log(16)}
SCALES = {"init-half": -math.log(2), "base": 0.0, "init-double": math.log(2)}


@dataclass(frozen=True, slots=True)
class Part:
    """One contrast of an outcome, and what is predicted of its mean over seeds."""

    outcome: str
    weights: Mapping[str, float]
    predicts: str


@dataclass(frozen=True, slots=True)
class Found:
    """A part that was judged; `holm` is the p-value of the prediction adjusted over the claim's parts."""

    part: Part
    effect: Effect
    holm: float


@dataclass(frozen=True, slots=True)
class CausalVerdict:
    """A claim's verdict at one size: the parts that decided it, or why nothing did."""

    id: str
    size: str
    decision: Decision | Literal["NOT_MEASURED"]
    why: str
    parts: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class CausalClaim:
    """A claim of this repository's claims.yaml, by its id, and the parts that decide it."""

    id: str
    parts: tuple[Part, ...]
    quantifier: Literal["all", "any"] = "all"


def _gain(weights: Mapping[str, float], predicts: str) -> Part:
    return Part("last_gain", weights, predicts)


def _beyond(one: str, other: str) -> tuple[Part, Part]:
    """Return the two ways in which cells may differ by more than the margin."""
    return _gain(difference(one, other), "> 0.02"), _gain(difference(one, other), "< -0.02")


CLAIMS: tuple[CausalClaim, ...] = (
    CausalClaim("layernorm-has-no-effect", (_gain(difference("layernorm", "rmsnorm"), MARGIN),)),
    CausalClaim(
        "parallel-updates-fight-more",
        (
            Part("cos_attention_mlp", SEQUENTIAL_LESS, "< 0"),
            _gain(SEQUENTIAL_LESS, "< 0"),
            Part("gain_without_opposition", {"base": 1.0}, ">= 0"),
        ),
    ),
    CausalClaim(
        "positions-change-the-gain",
        (
            *_beyond("learned-positions", "sequential"),
            *(part for other in ("rotary-0.0", "rotary-1.0") for part in _beyond(other, "base")),
        ),
        "any",
    ),
    CausalClaim("more-rotation-lowers-the-gain", (_gain(slope(SHARES), "< 0"),)),
    CausalClaim(
        "diverse-data-dampens",
        (_gain(slope({"one-source": 0.0, "four-sources": math.log(4), "base": math.log(23)}), "< 0"),),
    ),
    CausalClaim("parallel-wiring-lowers-the-gain", (_gain(SEQUENTIAL_LESS, "<= -0.02"),)),
    CausalClaim("a-gain-below-one-harms-training", (Part("held_out_loss", difference("damped", "base"), "> 0"),)),
    CausalClaim(
        "head-width-and-initialisation-interact",
        (
            _gain(interaction("heads-2-init-double", "heads-2", "init-double", "base"), "> 0.02"),
            _gain(interaction("heads-2-init-double", "heads-2", "init-double", "base"), "< -0.02"),
            _gain(interaction("heads-16-init-double", "heads-16", "init-double", "base"), "> 0.02"),
            _gain(interaction("heads-16-init-double", "heads-16", "init-double", "base"), "< -0.02"),
        ),
        "any",
    ),
    CausalClaim(
        "training-anti-correlates-heads",
        (Part("head_interference", {"base": 1.0}, "< 0"), Part("head_interference", slope(HEADS), "< 0")),
    ),
    CausalClaim("over-corrected-initialisation-dampens", (_gain(slope(SCALES), "> 0"),)),
    CausalClaim("depth-lowers-the-gain", (_gain(slope(DEPTHS), "< 0"),)),
    CausalClaim("a-codebases-defaults-set-the-dynamics", _beyond("init-gpt2", "base"), "any"),
    CausalClaim("partial-rotation-drives-the-gain", (_gain(difference("base", "rotary-1.0"), "> 0.02"),)),
    CausalClaim(
        "partial-rotation-keeps-the-magnitude",
        (Part("total_amplification", difference("base", "rotary-1.0"), "> 0"),),
    ),
    CausalClaim(
        "there-is-a-critical-depth",
        (
            _gain({"depth-4": 1.0}, "> 0"),
            _gain({"depth-24": 1.0}, "< 0"),
            _gain({"depth-24-init-unscaled": 1.0}, "> 0"),
        ),
    ),
    CausalClaim(
        "parallel-wiring-dampens-with-many-heads",
        (
            _gain(interaction("heads-16", "heads-2", "sequential-heads-16", "sequential-heads-2"), "< 0"),
            _gain(difference("heads-2", "sequential-heads-2"), MARGIN),
        ),
    ),
)  # fmt: skip

CANNOT: dict[str, str] = {
    "architecture-sets-the-level": "needs variance components over a factorial with data and norm crossed with the"
    " architecture; this design varies one factor at a time",
    "the-last-gain-is-a-matter-of-configuration": "is on the standard deviation between seeds, which `report` gives for"
    " each cell; no statistic here bounds a standard deviation yet",
    "fat-heads-have-a-higher-signal-to-noise-ratio": "needs each head's output within and between contexts; heads of"
    " 256 do not fit networks this narrow",
    "narrower-heads-are-noisier-after-training": "needs each head's output over small changes of a context",
    "cancellation-keeps-training-stable": "needs a penalty on the cosine of the updates in training",
    "a-gain-of-one-is-a-phase-transition": "needs a sweep that takes the last gain across 1 at three widths",
    "the-gain-has-two-phases": "needs a sweep, and training on from either end",
    "code-and-papers-bring-more-entropy": "is about documents of The Pile, which are not here",
    "head-count-is-the-primary-driver": "needs a full factorial for partial R^2; one factor at a time gives each"
    " factor's effect at the baseline alone",
    "models-switch-strategy-at-a-threshold": "needs heads on both sides of 192 and more than 30 blocks",
    "a-gain-of-one-explodes-gradients": "needs a penalty on the last gain in training",
    "pythia-6.9b-is-cautious-where-it-is-as-often-right": "is about two models of billions of parameters",
    "configurations-predict-the-gain": "needs trained models of at least twenty configurations of several families",
    "width-depth-and-rotation-interact": "needs the two sizes together: depth-16-rotary-1.0, depth-16, rotary-1.0 and"
    " base at each; a contrast across sizes has no shared seed",
}


def verdicts(found: Mapping[str, Values], size: str) -> list[CausalVerdict]:
    """Return what the twins of one size say to every causal claim, from `effects.outcomes`."""
    decided = [_verdict(claim, found, size) for claim in CLAIMS]
    return decided + [CausalVerdict(name, size, "NOT_MEASURED", why) for name, why in CANNOT.items()]


def _verdict(claim: CausalClaim, found: Mapping[str, Values], size: str) -> CausalVerdict:
    try:
        effects = [judge(contrast(found[part.outcome], part.weights), part.predicts) for part in claim.parts]
    except TwinsError as error:
        return CausalVerdict(claim.id, size, "NOT_MEASURED", str(error))
    adjusted = holm([effect.p for effect in effects])
    parts = tuple(Found(*each) for each in zip(claim.parts, effects, adjusted, strict=True))
    if claim.quantifier == "any":
        supported = any(part.holm <= ALPHA for part in parts)
        refuted = all(effect.decision == "REFUTED" for effect in effects)
    else:
        supported = all(effect.decision == "SUPPORTED" for effect in effects)
        refuted = any(value <= ALPHA for value in holm([effect.against for effect in effects]))
    decision: Decision = "SUPPORTED" if supported else "REFUTED" if refuted else "INCONCLUSIVE"
    return CausalVerdict(claim.id, size, decision, "; ".join(map(_told, parts)), parts)


def _told(found: Found) -> str:
    effect, part = found.effect, found.part
    cells = " ".join(f"{weight:+.2g} {cell}" for cell, weight in part.weights.items())
    return (
        f"{part.outcome} ({cells}) = {effect.value:.4f} [{effect.low:.4f}, {effect.high:.4f}],"
        f" {effect.n} seeds, predicted {part.predicts}: {effect.decision.lower()}"
    )
