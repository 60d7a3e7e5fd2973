"""Claims decided by a probe of a reduced, freshly drawn instance of the model's class."""

from __future__ import annotations

from dataclasses import dataclass

from refutable.claims import WiringClaim
from refutable.errors import InstrumentError
from refutable.evidence.over_models import over_models
from refutable.evidence.plan import wiring_subject
from refutable.evidence.sample_source import SampleSource
from refutable.traces.passes import Pass
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict

SEEN = 1e-6


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe watches.

    Attributes:
        columns: of its trace: the relative changes of what is watched, a block; the largest counts.
        unmoved: the word for a model none of whose blocks moves, to the bit.
        moved: the word for one all of whose blocks move.
        action: what was done and watched, the changes left out.
        watched: what was watched, in few words.
    """

    columns: tuple[str, ...]
    unmoved: str
    moved: str
    action: str
    watched: str


PROBES = {
    "mlp_reads_attention": Probe(
        ("mlp_input_change", "attention_input_change"),
        "parallel",
        "sequential",
        "with either module's update changed by the size of the block's input, what the other reads",
        "its blocks are not wired alike: what one module reads when the other's update",
    ),
    "stream_reads_rotation": Probe(
        ("held_update_change",),
        "pattern",
        "stream",
        "with the rotation switched off and attention's probabilities held, what attention adds",
        "the rotation does not do the same in all of its blocks: what attention adds",
    ),
}


def judge_wiring(claim: WiringClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    """Say what the probe saw: what it watches does not move by one bit, or moves in every block."""
    return over_models(claim, models, lambda model: _probe(claim, model, source))


def _probe(claim: WiringClaim, model: str, source: SampleSource) -> Judgement:
    probe = PROBES[claim.test.probe]
    trace = source.trace(wiring_subject(model, source.selection), Pass(claim.test.reads))
    changes = [max(row) for row in zip(*(trace.blocks[name].to_pylist() for name in probe.columns), strict=True)]
    if all(change == 0 for change in changes):
        seen = probe.unmoved
    elif all(change > SEEN for change in changes):
        seen = probe.moved
    else:
        raise InstrumentError(f"{model}: {probe.watched} changes by {changes}")
    verdict = Verdict.SUPPORTED if seen == claim.test.equals else Verdict.REFUTED
    is_seen = f"is {seen}" if claim.test.probe == "mlp_reads_attention" else f"turns its {seen}"
    why = (
        f"{model} {is_seen}: {probe.action} changed by {min(changes):.2g} to {max(changes):.2g} of itself in"
        f" {len(changes)} blocks"
    )
    return Judgement(verdict, claim.prediction, why, details={"seen": seen})
