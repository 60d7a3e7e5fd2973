"""A verdict as it is stored and shown: a row of the journal, verdicts.json, junit.xml and the summary."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from pydantic import PlainSerializer, TypeAdapter

from refutable.statistics.check_assumptions import UNCALIBRATED
from refutable.verdicts.judge import Judgement
from refutable.verdicts.looks import Look, label_of, looks_after
from refutable.verdicts.robustness import Control
from refutable.verdicts.verdict import UNVERIFIED_FACT, Estimate, Verdict

USUAL_ALPHA = 0.05
SHOWN = 12  # digits of a hash
ABOUT = ("evidence", "registration", "locked")  # of the claim, among a testcase's properties
NUMBERS = (  # of the estimate, there
    *("value", "low", "high", "level", "n", "unit", "p", "p_refuted", "effect_size", "e", "e_refuted"),
    *("statistic", "of", "method"),
)
HASHES = ("weights_hash", "tokenizer_hash", "config_hash")  # of what a name alone does not tell apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """One member's p-values, adjusted over its family.

    Attributes:
        family: its name.
        members: how many members were declared.
        measured: how many of them have a p-value in this run; the others count as p = 1.
        holm: adjusted p-value of the prediction.
        benjamini_hochberg: the same, for the false discovery rate.
        holm_refuted: adjusted p-value of the prediction's opposite.
        benjamini_hochberg_refuted: the same, for the false discovery rate.
    """

    family: str
    members: int
    measured: int
    holm: float
    benjamini_hochberg: float
    holm_refuted: float
    benjamini_hochberg_refuted: float


@dataclass(frozen=True, slots=True)
class VerdictRow(Judgement):
    """One (claim, subject) with its judgement and the origin of its evidence, in plain values.

    Attributes:
        id: the test's id.
        claim: the claim's id.
        subject: the models it was tried on, or "-".
        about: the claim: catalogue, statement, evidence, source, alpha, hash, reading_of.
        recorded: what the claim's author reported, by model.
        weights: which weights, dtype, device, tokens, tap, prompts and traces, as text.
        traces: keys of the traces it was judged on.
        seconds: how long it took, including measuring.
        adjusted: its p-values adjusted over its family, if it has one.
        looks: on which prompts it was tried so far, its own last; empty for what reads no prompts.
    """

    id: str = field(kw_only=True)
    claim: str = field(kw_only=True)
    subject: str = field(kw_only=True)
    about: Mapping[str, Any] = field(kw_only=True)
    recorded: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, kw_only=True)
    weights: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    traces: tuple[str, ...] = field(default=(), kw_only=True)
    seconds: Annotated[float, PlainSerializer(lambda seconds: round(seconds, 3))] = field(default=0.0, kw_only=True)
    adjusted: Adjusted | None = field(default=None, kw_only=True)
    looks: tuple[Look, ...] = field(default=(), kw_only=True)

    @classmethod
    def of(cls, judgement: Judgement, *, case: str, claim: str, subject: str, **told: Any) -> VerdictRow:
        """Return the row of a judgement on a case; `told` has the other attributes."""
        judged = {each.name: getattr(judgement, each.name) for each in fields(Judgement)}
        return cls(**judged, id=case, claim=claim, subject=subject, **told)

    @property
    def decided(self) -> bool:
        """Whether it is SUPPORTED or REFUTED, and not by an unverified fact."""
        return self.verdict.decided and UNVERIFIED_FACT not in self.labels

    @property
    def has_p(self) -> bool:
        """Whether it was looked at by a statistical test."""
        return self.verdict.looked and self.estimate is not None and self.estimate.p is not None

    @property
    def has_error_rate(self) -> bool:
        """Whether it is decided by a statistical test whose error rate is known for so many units."""
        known = not any(UNCALIBRATED in label for label in self.labels)
        return self.has_p and self.decided and known

    @property
    def weights_kind(self) -> str:
        """Which weights, or a dash if none were read."""
        return self.weights.get("weights_kind", "-")

    @property
    def identity(self) -> tuple[str, ...]:
        """What a baseline compares by: claim, subject, weights kind, dtype, origin of the token ids, and prompts.

        `unlike` compares the weights' hashes.
        """
        dtype, tokens = (self.weights.get(name, "-") for name in ("dtype", "tokens"))
        return self.claim, self.subject, self.weights_kind, dtype, tokens, self.prompts_hash

    def unlike(self, other: VerdictRow) -> tuple[str, ...]:
        """Return which of `HASHES` differ from those of a row of the same identity; one that either lacks does not."""
        mine, theirs = self.weights, other.weights
        return tuple(name for name in HASHES if name in mine and name in theirs and mine[name] != theirs[name])

    def hashes(self, names: Iterable[str]) -> str:
        """Return some of its `HASHES` in words: ``weights 0123456789ab, tokenizer ...``."""
        return ", ".join(f"{name.removesuffix('_hash')} {self.weights[name]}" for name in names)

    @property
    def looked_at(self) -> tuple[str, ...]:
        """What further looks are looks at: a claim on one subject's weights, on whatever prompts."""
        return self.claim, self.subject, self.weights_kind, *(self.weights.get(name, "-") for name in HASHES)

    def after(self, earlier: Iterable[Look]) -> VerdictRow:
        """Return it with the looks before it, and their label if it is a further one on more prompts."""
        if not self.looks:
            return self
        looks = looks_after(earlier, self.looks[-1])
        return dataclasses.replace(self, looks=looks).labelled(*label_of(looks))

    @property
    def prompts_hash(self) -> str:
        """SHA-256 of the prompts that were read, or a dash if none were."""
        return self.weights.get("prompt_set_hash", "-")

    @property
    def prompts_told(self) -> str:
        """The prompt set in words, if it is not the claim's own: name, SHA-256, and where it came from."""
        given = self.weights.get("prompts_from")
        return f"{self.weights.get('prompt_set')} (SHA-256 {self.prompts_hash}), {given}" if given else ""

    def evidence(self) -> str:
        """Return its evidence, line by line: the failure message of a refuted claim."""
        lines = [
            f"{self.verdict.value}: {self.about['statement']}",
            f"  claim      {self.claim} on {self.subject}",
            f"  found      {self.why}",
            f"  predicted  {self.predicts}",
        ]
        estimate = self.estimate
        if estimate is not None and estimate.p is not None:
            effect = f", effect size {estimate.effect_size:.3g}" if estimate.effect_size is not None else ""
            lines.append(f"  test       {estimate.method}, p = {estimate.p:.3g}{effect}, alpha = {self.about['alpha']}")
        elif self.about["alpha"] != USUAL_ALPHA and self.about["evidence"] in ("measured", "initialization"):
            lines.append(f"  alpha      {self.about['alpha']}")
        if self.adjusted is not None:
            lines.append(f"  family     {_adjusted(self.adjusted)}")
        lines += [f"  recorded   {model}: {_recorded(record)}" for model, record in self.recorded.items()]
        lines += [f"  {name}: {text}" for name, text in self.details.items()]
        lines += [f"  control    {name}: {control}" for name, control in self.controls.items()]
        if self.variations:
            lines.append(f"  variations {self._variations()}")
        if self.labels:
            lines.append(f"  labels     {', '.join(self.labels)}")
        if self.weights_kind != "-":
            lines.append(
                f"  weights    {self.weights_kind} ({self.weights.get('weights_detail', '')}),"
                f" {self.weights.get('dtype', '')}, {self.weights.get('tokens', 'no tokens')}"
            )
        if self.prompts_told:
            lines.append(f"  prompts    {self.prompts_told}")
        return "\n".join(lines)

    def _variations(self) -> str:
        shown = self.variations.items()
        return "; ".join(f"{name}: {one.verdict.value}{_interval(one.estimate)}" for name, one in shown)

    def properties(self) -> dict[str, str]:
        """Return what machines read of it, as short plain text, for a testcase's properties.

        The evidence itself is not repeated there: a refuted claim's is its failure, and verdicts.json has everybody's.
        """
        estimate, tested = self.estimate, self.estimate is not None and self.estimate.level is not None
        numbers = {name: getattr(estimate, name) for name in NUMBERS} if estimate is not None else {}
        adjusted = dataclasses.asdict(self.adjusted) if self.adjusted is not None else {}
        named = {
            "verdict": str(self.verdict.value),
            "subject": self.subject if self.verdict.looked else "",
            **{name: _text(self.about.get(name)) for name in (ABOUT if self.verdict.looked else ())},
            "claim_hash": str(self.about.get("claim_hash") or "")[:SHOWN] if self.verdict.looked else "",
            **({"predicts": self.predicts, "alpha": _text(self.about["alpha"])} if tested else {}),
            **{("estimate" if name == "value" else name): _text(value) for name, value in numbers.items()},
            **{name: _text(value) for name, value in adjusted.items()},
            **self.weights,
            "labels": ", ".join(self.labels),
            "recorded": "; ".join(f"{model}: {_recorded(record)}" for model, record in self.recorded.items()),
            "variations": _counted(one.verdict for one in self.variations.values()),
            **_controls(self.controls),
            "traces": ", ".join(key[:SHOWN] for key in self.traces),
        }
        return {name: text for name, text in named.items() if text not in ("", "-")}

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        written = ROW.dump_python(self, mode="json")
        return {name: written[name] for name in ORDER}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> VerdictRow:
        """Read a row back, including one of version 1 (no controls, and only the verdict of a variation).

        Raises:
            ValueError: the data are not a row of a known version.
        """
        return ROW.validate_python(data)


ROW = TypeAdapter(VerdictRow)
COUNTED = (*(verdict.value for verdict in Verdict), UNVERIFIED_FACT)


def tally(rows: Iterable[VerdictRow]) -> dict[str, int]:
    """Return how many rows count as each verdict, and how many decided ones turn on an unverified fact."""
    counts = Counter(UNVERIFIED_FACT if row.verdict.decided and not row.decided else row.verdict.value for row in rows)
    return {name: counts[name] for name in COUNTED if counts[name]}


ORDER = (
    *("id", "claim", "subject", "verdict", "predicts", "why", "labels", "estimate", "variations", "controls"),
    *("details", "recorded", "about", "weights", "traces", "seconds", "adjusted", "looks"),
)


def _controls(controls: Mapping[str, Control]) -> dict[str, str]:
    """Return each control as properties: its verdict, its share, and its estimate with its interval."""
    properties = {}
    for name, control in controls.items():
        properties[f"control.{name}"] = str(control.verdict.value)
        properties[f"control.{name}.share"] = _text(control.share)
        properties[f"control.{name}.estimate"] = _interval(control.estimate).strip()
    return properties


def _counted(verdicts: Iterable[Verdict]) -> str:
    """Return how many are of each verdict: ``7 REFUTED, 1 SUPPORTED``."""
    return ", ".join(f"{n} {verdict.value}" for verdict, n in Counter(verdicts).most_common())


def _interval(estimate: Estimate | None) -> str:
    """Return `` value [low, high]`` of an estimate, or an empty text without one."""
    if estimate is None:
        return ""
    return f" {estimate.value:.4g}" + (f" {estimate.ends}" if estimate.level is not None else "")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {item}" for name, item in value.items() if item is not None)
    return str(value)


def _adjusted(of: Adjusted) -> str:
    for_ = f"{of.holm:.3g} / {of.benjamini_hochberg:.3g}"
    against = f"{of.holm_refuted:.3g} / {of.benjamini_hochberg_refuted:.3g}"
    return (
        f"{of.family}, {of.members} members, {of.measured} measured: Holm / Benjamini-Hochberg p = {for_}"
        f" that it is as predicted, {against} that it is not"
    )


def _recorded(record: Mapping[str, Any]) -> str:
    extra = ", ".join(f"{name} {value}" for name, value in record.items() if name != "value" and value is not None)
    return f"{record['value']:g}" + (f" ({extra})" if extra else "")
