"""A verdict as it is kept and shown: one row of the journal, of verdicts.json, of junit.xml and of the summary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refutable.verdict import Estimate, Judgement, Verdict

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
        lines += [f"  recorded   {model}: {_recorded(record)}" for model, record in self.recorded.items()]
        lines += [f"  {name}: {text}" for name, text in self.judgement.details.items()]
        if self.judgement.variations:
            shown = "; ".join(f"{name}: {verdict}" for name, verdict in self.judgement.variations.items())
            lines.append(f"  variations {shown}")
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
            **self.weights,
            "recorded": "; ".join(f"{model}: {_recorded(record)}" for model, record in self.recorded.items()),
            "variations": "; ".join(f"{name}: {verdict}" for name, verdict in self.judgement.variations.items()),
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
            "estimate": _plain(dataclasses.asdict(judged.estimate)) if judged.estimate is not None else None,
            "variations": dict(judged.variations),
            "details": dict(judged.details),
            "recorded": {model: dict(record) for model, record in self.recorded.items()},
            "about": dict(self.about),
            "weights": dict(self.weights),
            "traces": list(self.traces),
            "seconds": round(self.seconds, 3),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> VerdictRow:
        """Read a row back.

        Raises:
            KeyError, TypeError, ValueError: the data are not a row of this version.
        """
        estimate = data["estimate"]
        judgement = Judgement(
            Verdict(data["verdict"]),
            data["predicts"],
            data["why"],
            Estimate(**{**estimate, "of": tuple(estimate["of"])}) if estimate is not None else None,
            tuple(data["labels"]),
            data["variations"],
            data["details"],
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
        )


def _plain(numbers: dict[str, Any]) -> dict[str, Any]:
    """Return JSON values: an infinite effect size (no spread) has no JSON form and is null."""
    finite = {k: None if isinstance(v, float) and v in (float("inf"), float("-inf")) else v for k, v in numbers.items()}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in finite.items()}


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


def _recorded(record: Mapping[str, Any]) -> str:
    extra = ", ".join(f"{name} {value}" for name, value in record.items() if name != "value" and value is not None)
    return f"{record['value']:g}" + (f" ({extra})" if extra else "")
