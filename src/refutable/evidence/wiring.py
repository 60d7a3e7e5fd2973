"""Claims decided by probing a reduced, freshly drawn instance of the model's class."""

from __future__ import annotations

from dataclasses import dataclass

from refutable.claims import WiringClaim
from refutable.errors import InstrumentError
from refutable.evidence.facts import labels_of_facts
from refutable.evidence.over_models import over_models
from refutable.evidence.plan import wiring_subject
from refutable.evidence.sample_source import SampleSource
from refutable.traces.passes import Pass
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict

SEEN = 1e-6


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe watches."""

    columns: tuple[str, ...]  # of its trace: relative changes, one per block; the largest counts
    unmoved: str  # the word for a model in which no block changes by a single bit
    moved: str  # the word for a model in which every block changes
    action: str  # what was done and watched, without the changes
    watched: str  # what was watched, in a few words
    fact: str  # the fact of the registry's configuration that the probed class is built by


PROBES = {
    "mlp_reads_attention": Probe(
        ("mlp_input_change", "attention_input_change"),
        "parallel",
        "sequential",
        "with either module's update changed by the size of the block's input, what the other reads",
        "its blocks are not wired alike: what one module reads when the other's update",
        "wiring",
    ),
    "stream_reads_rotation": Probe(
        ("held_update_change",),
        "pattern",
        "stream",
        "with the rotation switched off and attention's probabilities held, what attention adds",
        "the rotation does not do the same in all of its blocks: what attention adds",
        "positions",
    ),
}


def judge_wiring(claim: WiringClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    """Judge by what the probe saw: no block changes by a single bit, or every block changes."""
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
    labels = labels_of_facts(probe.fact, (model,), source)
    return Judgement(verdict, claim.prediction, why, labels=labels, details={"seen": seen})
