"""What a claim opens into, as plain values for the browser: short keys, numbers of five digits, nothing empty.

The keys of an answer: ``s`` subject, ``m`` every model, ``o`` origin, ``k`` kind of weights, ``v`` verdict, ``w`` why,
``p`` prediction, ``e`` estimate, ``l`` labels, ``x`` variations, ``u`` the other estimand, ``c`` controls, ``r`` what
was recorded, ``n`` power, ``g`` what would change it, ``d`` details, ``z`` provenance, ``h`` samples.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from refutable.reports.page.answers import Answer
from refutable.reports.page.settle import changes_of, power_of
from refutable.reports.page.words import kind_of_label, told_of_label, units
from refutable.verdicts.robustness import Control, Variation
from refutable.verdicts.row import Adjusted, VerdictRow
from refutable.verdicts.verdict import Estimate

_POWER = ("smallest effect", "n that would decide", "power", "seen")
_PROVENANCE = {
    "weights_kind": "weights",
    "weights_detail": "weights, in detail",
    "weights_hash": "weights' hash",
    "config_hash": "configuration's hash",
    "tokenizer_hash": "tokenizer's hash",
    "revision": "revision",
    "dtype": "dtype",
    "device_title": "device",
    "tokens": "tokens",
    "first_token": "first token",
    "prompt_set": "prompts",
    "prompts_from": "prompts from",
    "prompt_set_hash": "prompts' SHA-256",
    "passes": "passes",
    "tap": "read at",
    "closure_worst": "worst block closure",
}


def packed(data: Mapping[str, Any]) -> str:
    """Return plain values as text for the browser: JSON, compressed, in base64, which holds no ``<``."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def unpacked(text: str) -> Any:
    """Return the values that `packed` put into text."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def answer_data(answer: Answer, samples: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an answer for the browser."""
    row = answer.row
    told = {
        "id": row.id,
        "s": answer.subject,
        "m": row.subject if row.subject != answer.subject else "",
        "o": answer.origin.key,
        "k": "" if row.weights_kind == "-" else row.weights_kind,
        "v": row.verdict.value,
        "w": row.why,
        "p": row.predicts,
        "e": _estimate(row.estimate),
        "f": answer.found,
        "l": [[label, told_of_label(label), kind_of_label(label)] for label in row.labels],
        "x": [_variation(one) for one in row.variations.values() if "over" not in one.changes],
        "u": [[name, _variation(one)] for name, one in row.variations.items() if "over" in one.changes],
        "c": [_control(name, one) for name, one in row.controls.items()],
        "r": [[model, _recorded(record)] for model, record in row.recorded.items()],
        "n": power_of(row),
        "g": changes_of(row),
        "d": [[name, text] for name, text in row.details.items() if name not in _POWER],
        "z": _provenance(row),
        "h": list(samples),
    }
    return {key: value for key, value in told.items() if value not in ("", None, [])}


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    told = {
        "v": rounded(estimate.value),
        "lo": rounded(estimate.low),
        "hi": rounded(estimate.high),
        "level": rounded(estimate.level),
        "n": units(estimate),
        "p": rounded(estimate.p),
        "q": rounded(estimate.p_refuted),
        "effect": rounded(estimate.effect_size),
        "by": estimate.method,
        "st": estimate.statistic,
        "of": ", ".join(estimate.of),
    }
    return {key: value for key, value in told.items() if value not in ("", None)}


def _variation(one: Variation) -> dict[str, Any]:
    told = _number(one.estimate) | {"v": one.verdict.value, "by": dict(one.changes)}
    return told if one.estimate is not None else told | {"w": one.why}


def _control(name: str, one: Control) -> dict[str, Any]:
    share = {} if one.share is None else {"share": rounded(one.share)}
    return _number(one.estimate) | {"name": name, "v": one.verdict.value, "w": one.why} | share


def _number(estimate: Estimate | None) -> dict[str, Any]:
    """Return an estimate and its ends: ``e``, ``lo``, ``hi``; an end that is unbounded is left out."""
    if estimate is None:
        return {}
    told = {"e": rounded(estimate.value), "lo": rounded(estimate.low), "hi": rounded(estimate.high)}
    return {key: value for key, value in told.items() if value is not None}


def rounded(value: float | None) -> float | None:
    """Return a number with five digits; None for one that is not finite."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def _recorded(record: Mapping[str, Any]) -> dict[str, Any]:
    beside = [f"{name} {value}" for name, value in record.items() if name != "value" and value is not None]
    return {"v": rounded(record["value"]), "w": ", ".join(beside)}


def _provenance(row: VerdictRow) -> list[list[str]]:
    about, weights = row.about, row.weights
    lines = [[shown, weights[name]] for name, shown in _PROVENANCE.items() if weights.get(name)]
    lines += [["locked", str(about["locked"])]] if about.get("locked") else []
    if about.get("registration") not in (None, "-"):
        reason = f": {about['registration_reason']}" if about.get("registration_reason") else ""
        lines.append(["registration", f"{about['registration']}{reason}"])
    lines += [["claim's hash", str(about["claim_hash"])]] if about.get("claim_hash") else []
    lines += [["looks", ", then ".join(f"{look.prompts} prompts" for look in row.looks)]] if len(row.looks) > 1 else []
    lines += [["family", _family(row.adjusted)]] if row.adjusted is not None else []
    lines += [["traces", ", ".join(key[:12] for key in row.traces)]] if row.traces else []
    return lines


def _family(one: Adjusted) -> str:
    return (
        f"{one.family}, {one.members} members, {one.measured} measured; Holm p = {one.holm:.3g} that it is as"
        f" predicted, {one.holm_refuted:.3g} that it is not"
    )
