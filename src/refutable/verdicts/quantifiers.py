"""The quantifiers `all`, `any` and `majority`: one verdict from several models, at a known error rate.

Each says that the claim is true of at least k of m members: k = m, 1, or more than half. The k-th smallest of their
p-values times m - k + 1 is a p-value for that, whatever the dependence between members (partial conjunction: Benjamini
and Heller, 2008, Biometrics 64). The claim is false if it is false of m - k + 1 members; their p-values are combined in
the same way. So `all` is SUPPORTED without any correction, while one member REFUTES it only at alpha / m; `any` is the
reverse. A member that was not measured has p = 1 and still counts in m.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from refutable._util.text import few
from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Variation
from refutable.verdicts.verdict import UNVERIFIED_FACT, Estimate, Verdict

Several = Literal["all", "any", "majority"]


def needed(quantifier: str, members: int) -> int:
    """Return how many members the claim must be true of."""
    return {"all": members, "any": 1, "majority": members // 2 + 1}[quantifier]


def partial_conjunction(p: Sequence[float], k: int) -> float:
    """Return a p-value of "at least `k` of these alternatives are true"; a member that was not measured has p = 1."""
    return min(1.0, (len(p) - k + 1) * sorted(p)[k - 1])


def combine(parts: Mapping[str, Judgement], quantifier: str, predicts: str, alpha: float) -> Judgement:
    """Combine the judgements on several models, so that each kind of error has a probability of at most alpha.

    Each part is itself judged at alpha. Members that were not measured are named and prove nothing either way; if none
    was looked at, the verdict is NOT_MEASURED. An ERROR always shows. Members without a p-value (facts, probes) do
    not err by chance, so their verdicts stand. A verdict that would not stand without the members whose facts are
    unverified is labelled as theirs are. Other labels of members say who carries them: ``gptj: fragile``,
    ``3 models: fragile``.
    """
    judged = _combined(parts, quantifier, predicts, alpha)
    known = {name: _forgotten(part) if UNVERIFIED_FACT in part.labels else part for name, part in parts.items()}
    turns = judged.verdict.decided and _combined(known, quantifier, predicts, alpha).verdict is not judged.verdict
    return judged.labelled(*([UNVERIFIED_FACT] if turns else []), *_of_members(parts))


def combine_variations(
    parts: Mapping[str, Judgement], quantifier: str, predicts: str, alpha: float
) -> dict[str, Variation]:
    """Combine each variation that some member has; a member to which it does not apply stands as it is."""
    changes = {name: made.changes for part in parts.values() for name, made in part.variations.items()}
    found = {}
    for name in changes:
        under = {member: _under(part, name) for member, part in parts.items()}
        found[name] = _combined(under, quantifier, predicts, alpha).under(changes[name])
    return found


def _under(part: Judgement, name: str) -> Judgement:
    varied = part.variations.get(name)
    return part if varied is None else Judgement(varied.verdict, part.predicts, varied.why, varied.estimate)


def _of_members(parts: Mapping[str, Judgement]) -> Iterator[str]:
    """Yield each label of a member, with the one that carries it or how many do; the details name them."""
    for label in dict.fromkeys(label for part in parts.values() for label in part.labels):
        carry = [name for name, part in parts.items() if label in part.labels]
        yield f"{carry[0] if len(carry) == 1 else f'{len(carry)} models'}: {label}"


def _forgotten(part: Judgement) -> Judgement:
    return Judgement(Verdict.NOT_MEASURED, part.predicts, part.why)


def _combined(parts: Mapping[str, Judgement], quantifier: str, predicts: str, alpha: float) -> Judgement:
    verdicts = {name: part.verdict for name, part in parts.items()}
    k = needed(quantifier, len(parts))
    enough = {Verdict.SUPPORTED: k, Verdict.REFUTED: len(parts) - k + 1}
    p = {
        way: partial_conjunction([_p(part, way) for part in parts.values()], n) if parts else 1.0
        for way, n in enough.items()
    }
    decided = next((way for way in enough if p[way] <= alpha), Verdict.INCONCLUSIVE)
    if Verdict.ERROR in verdicts.values():
        verdict = Verdict.ERROR
    elif not any(v.looked for v in verdicts.values()):
        verdict = Verdict.NOT_MEASURED
    else:
        verdict = decided
    groups = {v: [n for n, w in verdicts.items() if w is v] for v in Verdict}
    looked = sum(v.looked for v in verdicts.values())
    of = f"{len(parts)} models" + (f", {looked} looked at" if looked < len(parts) else "")
    why = f"{quantifier} of {of}: " + "; ".join(f"{v.value} {few(names)}" for v, names in groups.items() if names)
    if verdict is Verdict.INCONCLUSIVE:
        why += "".join(
            f"; {len(groups[way])} {way.value}, as many as may be by chance among {len(parts)} (p = {p[way]:.3g})"
            for way, n in enough.items()
            if len(groups[way]) >= n
        )
    details = {name: _member(part) for name, part in parts.items()}
    estimate = _estimate(parts, quantifier, p) if verdict.looked else None
    controls = {f"{name}: {kind}": control for name, part in parts.items() for kind, control in part.controls.items()}
    return Judgement(verdict, predicts, why, estimate, details=details, controls=controls)


def _p(part: Judgement, way: Verdict) -> float:
    estimate = part.estimate
    p = None if estimate is None else estimate.p if way is Verdict.SUPPORTED else estimate.p_refuted
    return p if p is not None else float(part.verdict is not way)


def _estimate(parts: Mapping[str, Judgement], quantifier: str, p: Mapping[Verdict, float]) -> Estimate | None:
    """Return the share of models looked at that are SUPPORTED; its ends, of no level, allow for missing ones."""
    tested = next((part.estimate for part in parts.values() if part.estimate and part.estimate.p is not None), None)
    if tested is None:
        return None
    looked = [part.verdict for part in parts.values() if part.verdict.looked]
    missing, held = len(parts) - len(looked), looked.count(Verdict.SUPPORTED)
    tests = f"partial conjunction of {len(parts)} tests, {needed(quantifier, len(parts))} needed"
    return Estimate(
        value=held / len(looked),
        low=held / len(parts) if missing else None,
        high=(held + missing) / len(parts) if missing else None,
        level=None,
        n=len(looked),
        unit="model",
        p=p[Verdict.SUPPORTED],
        effect_size=None,
        method=f"share of {len(looked)} of {len(parts)} models, {tests}" if missing else tests,
        statistic=quantifier,
        of=tested.of,
        p_refuted=p[Verdict.REFUTED],
    )


def _member(part: Judgement) -> str:
    """Return a member's verdict as one line, with its labels and the variations that disagree."""
    labels = f" [{', '.join(part.labels)}]" if part.labels else ""
    other = [name for name, variation in part.variations.items() if variation.differs(part.verdict)]
    return f"{part.verdict.value}: {part.why}{labels}" + (f"; otherwise under {'; '.join(other)}" if other else "")
