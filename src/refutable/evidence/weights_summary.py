"""What reports say about the weights behind a verdict and the taps that were read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from refutable._util.identity_cache import ByIdentity
from refutable._util.text import few
from refutable.claims import BaseClaim, InitializationClaim, MeasuredClaim, WiringClaim
from refutable.evidence.plan import passes_of
from refutable.metrics import METRICS
from refutable.models.subject import STAND_IN, WeightsKind
from refutable.traces.trace import Trace
from refutable.verdicts.row import HASHES

VARIED = (
    "dtype",
    "bos",
    "chat_template",
    "spare",
    "prompts",
)  # a claim's variations differ in these from its own, which comes first
OF_ONE_NAME = (WeightsKind.PRETRAINED, WeightsKind.INITIALISATION, WeightsKind.PUBLISHED)  # the same in every run
SHOWN = 12  # digits of a hash
MOST = 12  # weights behind one verdict that are told one by one
TOLD = ("weights_kind", "weights_detail", "revision", "dtype", "device", "device_title", "tokens", "first_token")


class WeightsSummary:
    """Describes weights; a description that many verdicts share is made once."""

    def __init__(self) -> None:
        self._of_traces: dict[tuple[str, ...], dict[str, str]] = {}
        self._of_claim = ByIdentity(_of_claim)

    def __call__(self, claim: BaseClaim, traces: Mapping[str, Trace]) -> dict[str, str]:
        """Return the summary as text by name; `traces`, by key, begin with the claim's own, then its controls'."""
        own = _own(claim, traces)
        asked = tuple(own)
        if asked not in self._of_traces:
            self._of_traces[asked] = _of_metas([trace.meta for trace in own.values()])
        told = {**self._of_traces[asked], **self._of_claim(claim)}
        if isinstance(claim, WiringClaim):
            told["weights_detail"] += ", reduced to 2 blocks of width 32"
        return told


def _own(claim: BaseClaim, traces: Mapping[str, Trace]) -> Mapping[str, Trace]:
    """Return the traces that belong to neither a control nor a variation."""
    of_control = (
        isinstance(claim, MeasuredClaim)
        and not isinstance(claim, InitializationClaim)
        and "initialization" in claim.controls
    )
    drawn = str(WeightsKind.INITIALISATION)
    own = {key: one for key, one in traces.items() if not (of_control and one.meta["weights_kind"] == drawn)} or traces
    if len(own) == 1:
        return own
    if isinstance(claim, MeasuredClaim) and claim.test.other is not None:  # another dtype's values are subtracted
        own = {key: one for key, one in own.items() if one.meta.get("dtype") != claim.test.other.dtype} or own
    first = next(iter(own.values())).meta
    return {key: trace for key, trace in own.items() if all(trace.meta.get(n) == first.get(n) for n in VARIED)}


def _of_metas(metas: list[Mapping[str, Any]]) -> dict[str, str]:
    told = {name: _joined(meta.get(name) for meta in metas) for name in TOLD}
    if len({meta["weights"] for meta in metas}) > MOST:
        told |= {name: _shortened(meta.get(name) for meta in metas) for name in ("weights_detail", "revision")}
    seeds = sorted({meta["seed"] for meta in metas if meta.get("seed") is not None})
    if seeds:
        told["weights_detail"] += f", seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    for name in HASHES:
        told[name] = _joined(digest for meta in metas if (digest := _hash(name, meta)))
    told["models"] = _joined(meta.get("model") for meta in metas)  # for groups, those that were measured
    told["prompt_set_hash"] = _joined(meta.get("prompts") for meta in metas)
    told["closure_worst"] = _joined(f"{one:.3g}" for meta in metas if (one := meta.get("closure_worst")) is not None)
    return {name: text for name, text in told.items() if text}


def _hash(name: str, meta: Mapping[str, Any]) -> str:
    """Return the first digits of one of `HASHES`, where the model's name alone does not say what it would be.

    A commit names its tokenizer and configuration, a row of the registry its configuration, and a GGUF file holds both.
    """
    kind, of_row = meta["weights_kind"], meta.get("config_from") == "registry"
    of_commit, drawn = meta.get("revision") is not None, kind == WeightsKind.INITIALISATION
    match name:
        case "weights_hash" if kind not in OF_ONE_NAME:
            return hash_shown(meta["weights"])
        case "tokenizer_hash" if not of_commit and not (drawn and of_row) and _is_of_files(meta["tokenizer"]):
            return hash_shown(meta["tokenizer"])
        case "config_hash" if not of_commit and not of_row and kind != WeightsKind.PRETRAINED:
            return hash_shown(meta["config"])
    return ""


def hash_shown(digest: str) -> str:
    """Return what reports show of a hash."""
    return digest[:SHOWN]


def _is_of_files(tokenizer: str) -> bool:
    return tokenizer != STAND_IN and not tokenizer.startswith("gguf:")


def _joined(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _shortened(values: Iterable[object]) -> str:
    """Return the first of many different values, and how many more there are; a trajectory's traces say them all."""
    return few([*dict.fromkeys(str(value) for value in values if value is not None)], MOST)


def _of_claim(claim: BaseClaim) -> dict[str, str]:
    if not isinstance(claim, MeasuredClaim):
        return {}
    titles = dict.fromkeys(one.title for one in passes_of(claim.test, claim.prompts))
    other = claim.test.other
    reading = "" if other is None else _joined(f"{key}: {value}" for key, value in other.reading.items())
    beside = "" if other is None else f", held against {other.model or other.dtype or reading}"
    return {
        "tap": "; ".join(METRICS[name].tap for name in claim.test.of),
        "prompt_set": claim.prompts,
        "passes": ", ".join(titles) + beside,
    }
