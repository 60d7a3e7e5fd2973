"""A verdict as it is kept and shown: one row of the journal, of verdicts.json, of junit.xml and of the summary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Control, Variation
from refutable.verdicts.verdict import Estimate, Verdict, estimate_as_dict, estimate_from

USUAL_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One (claim, subject) with its verdict, its evidence and where the evidence came from. Plain values only.

    Attributes:
        id: the test's id.
        claim: the claim's id.
        subject: the models it was tried on, or "-".
        about: the claim: catalogue, statement, evidence, source, alpha, hash, reading_of.
        judgement: the verdict with its evidence.
        recorded: what the claim's author reported, by model.
        weights: which weights, dtype, device, tokens, tap, prompts and traces, as text.
        traces: keys of the traces it was judged on.
        seconds: how long it took, measuring included.
        adjusted: its p-values adjusted over its family (`claim_families.Adjusted`), where it has one.
    """

    id: str
    claim: str
    subject: str
    about: Mapping[str, Any]
    judgement: Judgement
    recorded: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, str]
    traces: tuple[str, ...]
    seconds: float
    adjusted: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return self.judgement.verdict

    @property
    def weights_kind(self) -> str:
        """Which weights; a dash where none were read."""
        return self.weights.get("weights_kind", "-")

    @property
    def identity(self) -> tuple[str, str, str, str, str, str]:
        """What a baseline compares by: claim, subject, weights kind, dtype, where token ids came from, and prompts."""
        dtype, tokens = (self.weights.get(name, "-") for name in ("dtype", "tokens"))
        return self.claim, self.subject, self.weights_kind, dtype, tokens, self.prompts_hash

    @property
    def prompts_hash(self) -> str:
        """SHA-256 of the prompts that were read; a dash where none were."""
        return self.weights.get("prompt_set_hash", "-")

    @property
    def prompts_told(self) -> str:
        """The prompt set in words where it is not the claim's own: name, SHA-256, and that it was given."""
        given = self.weights.get("prompts_from")
        return f"{self.weights.get('prompt_set')} (SHA-256 {self.prompts_hash}), {given}" if given else ""

    def evidence(self) -> str:
        """Return the failure message of a refuted claim: its evidence, line by line."""
        lines = [
            f"{self.verdict.value}: {self.about['statement']}",
            f"  claim      {self.claim} on {self.subject}",
            f"  found      {self.judgement.why}",
            f"  predicted  {self.judgement.predicts}",
        ]
        estimate = self.judgement.estimate
        if estimate is not None and estimate.p is not None:
            effect = f", effect size {estimate.effect_size:.3g}" if estimate.effect_size is not None else ""
            lines.append(f"  test       {estimate.method}, p = {estimate.p:.3g}{effect}, alpha = {self.about['alpha']}")
        elif self.about["alpha"] != USUAL_ALPHA and self.about["evidence"] in ("measured", "initialization"):
            lines.append(f"  alpha      {self.about['alpha']}")
        if self.adjusted is not None:
            lines.append(f"  family     {_adjusted(self.adjusted)}")
        lines += [f"  recorded   {model}: {_recorded(record)}" for model, record in self.recorded.items()]
        lines += [f"  {name}: {text}" for name, text in self.judgement.details.items()]
        lines += [f"  control    {name}: {control}" for name, control in self.judgement.controls.items()]
        if self.judgement.variations:
            lines.append(f"  variations {self._variations()}")
        if self.judgement.labels:
            lines.append(f"  labels     {', '.join(self.judgement.labels)}")
        if self.weights_kind != "-":
            lines.append(
                f"  weights    {self.weights_kind} ({self.weights.get('weights_detail', '')}),"
                f" {self.weights.get('dtype', '')}, {self.weights.get('tokens', 'no tokens')}"
            )
        if self.prompts_told:
            lines.append(f"  prompts    {self.prompts_told}")
        return "\n".join(lines)

    def _variations(self) -> str:
        shown = self.judgement.variations.items()
        return "; ".join(f"{name}: {one.verdict.value}{_interval(one.estimate)}" for name, one in shown)

    def properties(self) -> dict[str, str]:
        """Return everything a machine reads of it, as plain text, for a testcase's properties."""
        estimate = self.judgement.estimate
        numbers = dataclasses.asdict(estimate) if estimate is not None else {}
        named = {
            "claim": self.claim,
            "subject": self.subject,
            "verdict": str(self.verdict.value),
            "predicts": self.judgement.predicts,
            "why": self.judgement.why,
            "labels": ", ".join(self.judgement.labels),
            **{name: _text(value) for name, value in self.about.items()},
            **{("estimate" if name == "value" else name): _text(value) for name, value in numbers.items()},
            **{name: _text(value) for name, value in (self.adjusted or {}).items()},
            **self.weights,
            "recorded": "; ".join(f"{model}: {_recorded(record)}" for model, record in self.recorded.items()),
            "variations": self._variations(),
            **_controls(self.judgement.controls),
            **self.judgement.details,
            "traces": ", ".join(self.traces),
        }
        return {name: text for name, text in named.items() if text}

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        judged = self.judgement
        return {
            "id": self.id,
            "claim": self.claim,
            "subject": self.subject,
            "verdict": str(self.verdict.value),
            "predicts": judged.predicts,
            "why": judged.why,
            "labels": list(judged.labels),
            "estimate": estimate_as_dict(judged.estimate),
            "variations": {name: variation.as_dict() for name, variation in judged.variations.items()},
            "controls": {name: control.as_dict() for name, control in judged.controls.items()},
            "details": dict(judged.details),
            "recorded": {model: dict(record) for model, record in self.recorded.items()},
            "about": dict(self.about),
            "weights": dict(self.weights),
            "traces": list(self.traces),
            "seconds": round(self.seconds, 3),
            "adjusted": dict(self.adjusted) if self.adjusted is not None else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> VerdictRow:
        """Read a row back; version 1 had no controls of its own, and of a variation the verdict alone.

        Raises:
            KeyError, TypeError, ValueError: the data are not a row of this version.
        """
        judgement = Judgement(
            Verdict(data["verdict"]),
            data["predicts"],
            data["why"],
            estimate_from(data["estimate"]),
            tuple(data["labels"]),
            {name: Variation.from_dict(variation) for name, variation in data["variations"].items()},
            data["details"],
            {name: Control.from_dict(control) for name, control in data.get("controls", {}).items()},
        )
        return cls(
            data["id"],
            data["claim"],
            data["subject"],
            data["about"],
            judgement,
            data["recorded"],
            data["weights"],
            tuple(data["traces"]),
            float(data["seconds"]),
            data.get("adjusted"),
        )


def _controls(controls: Mapping[str, Control]) -> dict[str, str]:
    """Return each control as properties: its verdict with its reason, its share, its estimate with the interval."""
    properties = {}
    for name, control in controls.items():
        properties[f"control.{name}"] = str(control)
        properties[f"control.{name}.share"] = _text(control.share)
        properties[f"control.{name}.estimate"] = _interval(control.estimate).strip()
        properties |= _controls({f"{name}.{part}": one for part, one in control.parts.items()})
    return properties


def _interval(estimate: Estimate | None) -> str:
    """Return `` value [low, high]`` of an estimate; nothing where there is none."""
    if estimate is None:
        return ""
    ends = ", ".join("unbounded" if end is None else f"{end:.4g}" for end in (estimate.low, estimate.high))
    return f" {estimate.value:.4g}" + (f" [{ends}]" if estimate.level is not None else "")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {item}" for name, item in value.items() if item is not None)
    return str(value)


def _adjusted(of: Mapping[str, Any]) -> str:
    for_, against = (f"{of[f'holm{end}']:.3g} / {of[f'benjamini_hochberg{end}']:.3g}" for end in ("", "_refuted"))
    return (
        f"{of['family']}, {of['members']} members, {of['measured']} measured: Holm / Benjamini-Hochberg p = {for_}"
        f" that it is as predicted, {against} that it is not"
    )


def _recorded(record: Mapping[str, Any]) -> str:
    extra = ", ".join(f"{name} {value}" for name, value in record.items() if name != "value" and value is not None)
    return f"{record['value']:g}" + (f" ({extra})" if extra else "")
