"""Where evidence gets its numbers: finds weights, reads the store, and measures what is not there yet.

Judging asks for samples and never learns whether they were stored, measured just now, or published elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refutable._util.extras import require_measure
from refutable._util.hashing import key_of
from refutable._util.progress import task
from refutable._util.provenance import version_of
from refutable.claims.sampling import samples_of
from refutable.errors import InstrumentError, NotMeasured, RefutableError
from refutable.evidence.plan import Plan, other_subject, pass_for, plain
from refutable.evidence.published.table import Table
from refutable.models.chat_template import chat_template
from refutable.models.revision_names import split_name
from refutable.models.selection import Selection
from refutable.models.subject import IN_TEMPLATE, INIT, Subject, WeightsSource
from refutable.models.weights import Finder
from refutable.prompts.find import load_prompts
from refutable.prompts.prompt_set import PromptSet
from refutable.statistics.pairing import minus
from refutable.statistics.sample import Sample
from refutable.traces.passes import NO_BOS, PROBE_PASSES, Bos, Pass
from refutable.traces.scale_folding import InputNorm, input_norm
from refutable.traces.store import Store
from refutable.traces.trace import PRIMITIVES_VERSION, Trace

if TYPE_CHECKING:
    from refutable.claims import MeasuredTest

HELD = 300_000_000  # bytes of traces' tables that are kept at hand; what is computed from them takes as much again


@dataclass(slots=True)
class SampleSource:
    """Numbers for claims.

    Attributes:
        selection: which models this run may measure.
        finder: finds their weights.
        store: keeps traces.
        table: numbers published elsewhere, which then stand in for every model's.
        folder: that of the claims file, which paths of prompt sets are relative to.
        plan: every pass the run reads, so that a model is loaded once.
        used: traces that were read, by key; those not read for long without their tables.
        read: keys of the traces read since it was last cleared, in the order in which they were first read.
        live: keys of the traces that this process measured.
        timed: of each of these, the seconds of its pass and of loading.
    """

    selection: Selection
    finder: Finder
    store: Store
    table: Table | None = None
    folder: Path = Path()
    plan: Plan = field(default_factory=dict)
    used: dict[str, Trace] = field(default_factory=dict)
    read: dict[str, None] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    timed: dict[str, tuple[float, float]] = field(default_factory=dict)
    _failed: dict[Subject, RefutableError] = field(default_factory=dict)
    _refused: dict[str, RefutableError] = field(default_factory=dict)
    _held: dict[str, int] = field(default_factory=dict)
    _ready: dict[tuple[Subject, Pass], Trace] = field(default_factory=dict)
    _prompts: dict[str, PromptSet] = field(default_factory=dict)
    _keys: dict[tuple[Subject, Pass], tuple[WeightsSource, str]] = field(default_factory=dict)
    _templates: dict[tuple[str, str], str] = field(default_factory=dict)
    _sources: dict[tuple[Subject, str, bool], WeightsSource | NotMeasured] = field(default_factory=dict)

    def samples(
        self, test: MeasuredTest, prompts: str, subject: Subject, bos: Bos = "default", *, folded: bool = False
    ) -> tuple[Sample, ...]:
        """Return a sample for each metric that a test is of; two of a ratio that its statistic takes apart.

        Args:
            test: metrics, and how they are read; against something, each value is a paired difference.
            prompts: name of the prompt set.
            subject: the model.
            bos: whether prompts begin with the beginning-of-sequence token.
            folded: whether norms of what modules read are taken before the norm's learned scale.

        Raises:
            NotMeasured: there is nothing to measure with here.
            RefutableError: anything else that stands in the way.
        """
        if self.table is not None and subject.weights != INIT:  # weights that are drawn here stand in no table
            if test.under is not None:
                raise NotMeasured(f"{self.table.name} holds measurements of models as they are, not under {test.under}")
            if folded:
                raise NotMeasured(f"{self.table.name} holds what modules read after the norm's scale, not before it")
            made_on = self.prompts(prompts)
            return tuple(self._published(self.table, name, subject.model, test, made_on) for name in test.of)
        passes = [(name, pass_for(name, test, prompts, bos)) for name in test.of]
        return tuple(s for name, spec in passes for s in self._samples_of(test, name, spec, subject, folded))

    def _samples_of(
        self, test: MeasuredTest, name: str, spec: Pass, subject: Subject, folded: bool
    ) -> tuple[Sample, ...]:
        found = self._read(test, name, spec, subject, folded)
        if test.against is None:
            return found
        if (reading := test.other_reading) is not None:
            read_so = pass_for(name, reading, spec.prompts, spec.bos)
            return tuple(map(minus, found, self._read(reading, name, read_so, subject, folded)))
        other = other_subject(test, subject, self.selection)
        if other is not None:
            return tuple(map(minus, found, self._read(test, name, spec, other, folded)))
        as_it_is = self._read(test, name, plain(spec), subject, folded)
        pairs = zip(found, as_it_is, strict=True)
        return tuple(replace(sample, values=sample.values - other.values) for sample, other in pairs)

    def _published(self, table: Table, name: str, model: str, test: MeasuredTest, prompts: PromptSet) -> Sample:
        found = table.sample(name, model, test, prompts)
        if test.other is None:
            return found
        if (reading := test.other_reading) is not None:
            return minus(found, table.sample(name, model, reading, prompts))
        base, at = split_name(model)
        if test.other.dtype is not None:
            raise NotMeasured(
                f"{table.name} holds one dtype of a model: what {test.other.dtype} would give is not in it"
            )
        other = f"{base}@{test.other.revision}" if test.other.model is None else test.other.model
        other = f"{other}@{at}" if test.other.model is not None and at else other
        if other == model:
            raise NotMeasured(f"{base} at {at} is held against itself")
        try:
            return minus(found, table.sample(name, other, test, prompts))
        except NotMeasured as error:
            raise NotMeasured(f"{other}, which {model} is held against: {error.reason}") from None

    def _read(self, test: MeasuredTest, name: str, spec: Pass, subject: Subject, folded: bool) -> tuple[Sample, ...]:
        trace = self.trace(subject, spec)
        return samples_of(test, name, trace, self._input_norm(subject, spec) if folded else None)

    def _input_norm(self, subject: Subject, spec: Pass) -> InputNorm:
        """Return how a model norms what its modules read, as it is wired in a pass."""
        found = input_norm(self.selection.registry[subject.model].architecture, self.find_weights(subject, spec).config)
        match spec.intervention:
            case "rewire-parallel":
                return replace(found, wiring="parallel")
            case "rewire-sequential":
                return replace(found, wiring="sequential")
        return found

    def trace(self, subject: Subject, spec: Pass) -> Trace:
        """Return a trace: stored, or measured now (with every other planned pass of the same subject).

        Raises:
            NotMeasured: there are no weights here, or this pass means nothing on this model.
        """
        found = self._ready.pop((subject, spec), None) or self._trace(subject, spec)
        self._ready[subject, spec] = found  # the last one read stands last
        self.read[found.key] = None
        if found.key not in self._held:
            self._held[found.key] = found.blocks.nbytes + found.prompts.nbytes
            self._put_down()
        return found

    def _put_down(self) -> None:
        """Let go of the tables of the traces not read for longest, while all take more than `HELD`; their meta stays.

        They are read from the store again where another claim needs them.
        """
        while sum(self._held.values()) > HELD and len(self._ready) > 1:
            asked, oldest = next(iter(self._ready.items()))
            del self._ready[asked]
            oldest.derived.clear()  # its views refer to it: without this, it would stay until the next sweep of cycles
            if self._held.pop(oldest.key, None) is not None:
                blocks, prompts = oldest.blocks.schema.empty_table(), oldest.prompts.schema.empty_table()
                self.used[oldest.key] = Trace(oldest.key, oldest.meta, blocks, prompts)

    def _trace(self, subject: Subject, spec: Pass) -> Trace:
        key = self.address(subject, spec)
        if key not in self._held:
            stored = self.store.get(key)
            found = self._measured(subject, spec, key) if stored is None else stored
            self.used[key] = self._as_asked(found, subject)
        return self.used[key]

    def address(self, subject: Subject, spec: Pass, *, download: bool = True) -> str:
        """Return the key of a trace, whether it is stored or not.

        Raises:
            NotMeasured: there are no weights here, or this pass means nothing on this model.
        """
        require_measure()  # for a stored trace too: its key holds the versions of torch and transformers
        weights = self.find_weights(subject, spec, download=download)
        if spec.bos != "default" and weights.tokenizer is None:
            raise NotMeasured(NO_BOS)
        if subject.chat_template and spec.prompts:
            self._template(subject, weights)
        if not self._changes(subject, weights, spec):
            wired = spec.intervention.removeprefix("rewire-")
            raise NotMeasured(f"{subject.model} is wired {wired} as it is: to re-wire it so changes nothing")
        return self.key(subject, weights, spec)

    def _as_asked(self, trace: Trace, subject: Subject) -> Trace:
        """Return a trace under the name of its model here; it may have been measured by another name of its commit."""
        if "@" not in f"{subject.model}{trace.meta['model']}":
            return trace
        row = self.selection.registry[subject.model]
        return replace(trace, meta={**trace.meta, "model": row.name, "title": row.title})

    def _changes(self, subject: Subject, weights: WeightsSource, spec: Pass) -> bool:
        """Whether a pass is of anything but a model re-wired to what it already is."""
        wiring = self.selection.registry[subject.model].architecture.wiring_of(weights.config)
        return spec.intervention != f"rewire-{wiring}"

    def find_weights(self, subject: Subject, spec: Pass, *, download: bool = True) -> WeightsSource:
        """Return the weights of a subject, as found; what was not found once is not looked for again.

        Args:
            subject: whose.
            spec: for which pass; a probe reads a reduced instance.
            download: whether the hub may be asked for a model that the user named.
        """
        asked = (subject, spec.name, download)
        if asked not in self._sources:
            try:
                self._sources[asked] = self._find(subject, spec, download)
            except NotMeasured as error:
                self._sources[asked] = error.with_traceback(None)
        found = self._sources[asked]
        if isinstance(found, NotMeasured):
            raise found
        return found

    def _find(self, subject: Subject, spec: Pass, download: bool) -> WeightsSource:
        row = self.selection.registry[subject.model]
        if spec.name in PROBE_PASSES:
            from refutable.models.reduced_config import reduced

            small = {"config": reduced(row.config), "parameters": 1, "stand_in": True, "init": "transformers"}
            row = row.model_copy(update=small)
        return self.finder.find(row, subject, download=download)

    def key(self, subject: Subject, weights: WeightsSource, spec: Pass) -> str:
        """Return the address of a trace: a hash of everything that determines it or is reported about its weights.

        The same weights found in another way (a local copy of a hub's files) are another trace, so that what a report
        says of them is always what this run found.
        """
        known = self._keys.get((subject, spec))
        if known is not None and known[0] is weights:
            return known[1]
        base = self.selection.registry[subject.model].base  # one commit is one trace, by whatever name it is asked for
        named = {"model": base.name, "title": base.title, "primitives": PRIMITIVES_VERSION}
        key = key_of({**self._about(subject, weights, spec), **named})
        self._keys[subject, spec] = weights, key
        return key

    def _template(self, subject: Subject, weights: WeightsSource) -> str:
        """Return the hash of a model's chat template, read once; raises NotMeasured where it has none."""
        asked = subject.model, weights.tokenizer_digest
        if asked not in self._templates:
            self._templates[asked] = key_of({"template": chat_template(weights.tokenizer, subject.model)})
        return self._templates[asked]

    def prompts(self, name: str) -> PromptSet:
        """Return a prompt set, read once."""
        if name not in self._prompts:
            self._prompts[name] = load_prompts(name, self.folder)
        return self._prompts[name]

    def give(self, prompts: PromptSet) -> None:
        """Let a prompt set be what its name means in this run."""
        self._prompts[prompts.name] = prompts
        self._keys.clear()
        self._ready.clear()
        self._held.clear()

    def forget(self) -> None:
        """Forget the traces that were read, so that the store is read anew."""
        self._held.clear()
        self.used.clear()
        self.read.clear()
        self._ready.clear()

    def _measured(self, subject: Subject, spec: Pass, key: str) -> Trace:
        if subject in self._failed:
            raise self._failed[subject]
        if key in self._refused:
            raise self._refused[key]
        name = _lock_of(subject) if subject.device_type == "cuda" else f"subject-{key[:16]}"
        with ExitStack() as held:
            with task(f"waiting for another process, which measures on {subject.device_type}"):
                held.enter_context(self.store.lock(name))
            stored = self.store.get(key)
            if stored is not None:
                return stored
            try:
                self._measure_planned(subject, spec)
            except RefutableError as error:
                self._failed[subject] = error.with_traceback(None)
                raise
        if key in self._refused:
            raise self._refused[key]
        stored = self.store.get(key)
        if stored is None:
            raise InstrumentError(f"the trace of {subject.model} was measured but is not in the store")
        return stored

    def _measure_planned(self, subject: Subject, spec: Pass) -> None:
        for _ in self.measure(subject, (spec, *self.plan.get(subject, ()))):
            pass

    def measure(self, subject: Subject, passes: Iterable[Pass]) -> Iterator[tuple[Pass, str, RefutableError | None]]:
        """Load a subject once, and make and store each of some passes of it that is not stored.

        Yields:
            Each pass that was made or refused, the key of its trace, and why there is none, if so.

        Raises:
            RefutableError: nothing can be read from this subject.
        """
        with task("loading torch and transformers"):
            from refutable.measurement.session import measure_subject

        row = self.selection.registry[subject.model]
        wanted = {}
        for each in dict.fromkeys(passes):
            weights = self.find_weights(subject, each)
            key = self.key(subject, weights, each)
            if self.store.get(key) is None and key not in self._refused and self._changes(subject, weights, each):
                if weights.dropped:
                    weights = self.finder.find(row, subject, whole=True)
                wanted[each] = (weights, key, self._about(subject, weights, each))
        for each, left in measure_subject(row, subject, wanted, self.prompts, self.store.folder):
            key = wanted[each][1]
            if isinstance(left, RefutableError):
                self._refused[key] = left
                yield each, key, left
                continue
            made = datetime.now(UTC).isoformat(timespec="seconds")
            self.store.keep(replace(left, meta={**left.meta, "measured": made, "described": row.described}))
            self.live.add(left.key)
            self.timed[key] = float(left.meta.get("pass_seconds", 0.0)), float(left.meta.get("load_seconds", 0.0))
            yield each, key, None

    def _about(self, subject: Subject, weights: WeightsSource, spec: Pass) -> dict[str, Any]:
        """Return what is known of a trace before it is measured."""
        row = self.selection.registry[subject.model]
        prompts = self.prompts(spec.prompts) if spec.prompts else None
        tokens, templated = weights.tokens, {}
        if subject.chat_template and prompts is not None:  # else a pass keeps the address that it always had
            tokens = f"{tokens}{IN_TEMPLATE}"
            templated["chat_template"] = self._template(subject, weights)
        return {
            "model": row.name,
            "title": row.title,
            "family": row.family,
            **spec.facts,
            "prompt_set": prompts.name if prompts else None,
            "prompts": prompts.hash if prompts else None,
            "weights": weights.digest,
            "weights_kind": weights.label,
            "weights_detail": weights.detail,
            "config": key_of(dict(weights.config)),
            "config_from": weights.config_from,
            "revision": weights.revision,
            "seed": subject.seed if weights.form == "draw" else None,
            "tokenizer": weights.tokenizer_digest,
            "tokens": tokens,
            **templated,
            "dtype": subject.dtype,
            "device": subject.device_type,
            "device_title": self.finder.device.title if subject.device_type != "cpu" else "CPU",
            "attention": row.architecture.attention_implementation,
            "torch": version_of("torch"),
            "transformers": version_of("transformers"),
        }


def _lock_of(subject: Subject) -> str:
    """Return the name of the lock on a GPU: what a process calls the first one depends on which it may see."""
    seen = re.sub(r"[^\w-]", "-", os.environ.get("CUDA_VISIBLE_DEVICES", ""))[:64]
    return f"device-{subject.device.replace(':', '-')}{f'-of-{seen}' if seen else ''}"
