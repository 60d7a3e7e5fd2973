"""Which models this run may measure, with which weights, dtype and device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from refutable._util.reading import exists
from refutable.errors import BadInput, NotMeasured, UnknownName
from refutable.models.adapter import read_adapter
from refutable.models.device import Device
from refutable.models.registry import ModelRegistry
from refutable.models.revision_names import is_glob, model_of
from refutable.models.revisions import Revisions
from refutable.models.row import ModelRow
from refutable.models.subject import INIT, PRETRAINED, Subject

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Selection:
    """The models of this run.

    Attributes:
        registry: every known model.
        named: those the user named.
        weights: ``pretrained``, ``init`` or a path, for the named models (for the default ones when none is named).
        revisions: of each named model, those that the user named; none where a model is tried as its row has it.
        dtype: for every model.
        device: for every model.
        adapter: folder of one that is merged into the named model's weights, or None.
        chat_template: whether prompts are put into chat templates, for every model.
        expands: what expands the revisions that claims name.
    """

    registry: ModelRegistry
    device: Device
    named: frozenset[str] = frozenset()
    weights: str = PRETRAINED
    revisions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dtype: str = "float32"
    adapter: str | None = None
    expands: Revisions = field(default_factory=Revisions)
    chat_template: bool = False
    _chosen: frozenset[str] = field(init=False)
    _subjects: dict[tuple[str, int | None, str | None], Subject] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        defaults = {row.name for row in self.registry if row.default or row.stand_in}
        object.__setattr__(self, "_chosen", frozenset(defaults | self.named))

    def __contains__(self, model: str) -> bool:
        return model_of(model) in self._chosen

    def subject(self, model: str, *, seed: int | None = None, dtype: str | None = None) -> Subject:
        """Return how a model is to be tried.

        Args:
            model: name of its row, or that with a revision: ``pythia-160m@step1000``.
            seed: freshly drawn weights of this seed, whatever the command line says; they have no revision.
            dtype: another dtype than the run's.

        Raises:
            NotMeasured: it is neither a default subject nor named, or there is no such revision at hand.
        """
        asked = (model if seed is None else model_of(model)), seed, dtype
        if asked not in self._subjects:
            row = self.usable(model)
            if model not in self:
                raise NotMeasured(f"{model} was not selected", f"pytest --model {row.asked}")
            self._subjects[asked] = self._subject(*asked)
        return self._subjects[asked]

    def usable(self, model: str) -> ModelRow:
        """Return a model's row; raises NotMeasured where nothing can be measured of it."""
        row = self.registry[model]
        if row.unusable:
            raise NotMeasured(f"{model}: {row.unusable}")
        return row

    def _subject(self, model: str, seed: int | None, dtype: str | None) -> Subject:
        row = self.registry[model]
        base, asked_for = row.base.name, self.revisions.get(row.base.name, ())
        named = base in self.named
        mine = named or (not self.named and row.base.default)
        if row.at:
            self._check_revision(row, mine)
        subject = Subject(
            model,
            weights=self.weights if mine else PRETRAINED,
            revision=row.at or next(iter(asked_for), None),
            dtype=dtype or self.dtype,
            device=self.device.name,
            named=named and (not row.at or row.at in asked_for),
            adapter=self.adapter if named else None,
            chat_template=self.chat_template,
        )
        if seed is None:
            return subject
        given = subject.weights if subject.weights not in (PRETRAINED, INIT) else None
        return replace(subject, weights=INIT, seed=seed, adapter=None, tokenizer=given)

    def _check_revision(self, row: ModelRow, mine: bool) -> None:
        """Refuse a revision that there cannot be; raises NotMeasured."""
        if row.base.no_revisions:
            raise NotMeasured(row.base.no_revisions)
        if mine and self.weights != PRETRAINED:
            given = INIT if self.weights == INIT else "PATH"
            raise NotMeasured(
                f"--weights {given} has no revisions, and this is about {row.base.name} at {row.at}",
                f"pytest --model {row.asked}",
            )
        if is_glob(row.at):
            raise NotMeasured(
                f"no revision of {row.base.name} that is at hand matches {row.at}", f"pytest --model {row.asked}"
            )


def select(
    registry: ModelRegistry,
    device: Device,
    *,
    models: tuple[str, ...] = (),
    weights: str = PRETRAINED,
    revisions: Revisions | None = None,
    dtype: str = "float32",
    adapter: str | None = None,
    chat_template: bool = False,
) -> Selection:
    """Check what the command line asks for and return it as a Selection.

    `revisions` are those that the command line asks for, of the models named.

    Raises:
        BadInput: an unknown model or dtype; no named model is one; a path or an adapter for more than one model; a path
            that is not there; a revision that no named model has, or of no named model.
    """
    rows = [row for pattern in models for row in _matching(registry, pattern)]
    named = frozenset(row.name for row in rows)
    faults = [row.fault for row in rows]
    if faults and all(isinstance(fault, BadInput) for fault in faults) and faults[0] is not None:
        raise faults[0]
    if dtype not in DTYPES:
        raise BadInput(f"--dtype {dtype}: unknown dtype; known: {', '.join(DTYPES)}.")
    if weights not in (PRETRAINED, INIT):
        if len(named) != 1:
            raise BadInput(
                f"--weights {weights}: a path belongs to one model; name it with one --model ({len(named)} are named)"
            )
        if not exists(Path(weights)):
            raise BadInput(
                f"--weights {weights}: no such file or directory; write pretrained, init, or the path of a directory of"
                " safetensors or of a GGUF file"
            )
    expands = replace(revisions or Revisions(), named=named)
    asked: dict[str, tuple[str, ...]] = {}
    if expands.asked:
        asked = _check_revisions(expands, weights, [registry[name] for name in sorted(named)])
    if adapter is not None:
        _check_adapter(adapter, weights, [registry[name] for name in named])
    return Selection(registry, device, named, weights, asked, dtype, adapter, expands, chat_template)


def _check_revisions(revisions: Revisions, weights: str, named: list[ModelRow]) -> dict[str, tuple[str, ...]]:
    """Return the revisions that are asked for of each named model; raises BadInput."""
    word = revisions.asked[0]
    if weights != PRETRAINED:
        raise BadInput(f"--revision {word}: --weights {weights} has no revisions; give one of the two")
    if not named:
        raise BadInput(f"--revision {word}: a revision belongs to a model; name it with --model")
    usable = [row for row in named if not row.unusable]
    if usable:
        revisions.check_asked(usable)
    return {row.name: revisions.of_run(row) for row in usable}


def _check_adapter(adapter: str, weights: str, named: list[ModelRow]) -> None:
    if len(named) != 1:
        raise BadInput(
            f"--adapter {adapter}: an adapter belongs to one model; name it with one --model ({len(named)} are named)"
        )
    if weights == INIT or (named[0].stand_in and weights == PRETRAINED):
        raise BadInput(f"--adapter {adapter}: freshly drawn weights carry no adapter; give trained ones")
    read_adapter(Path(adapter))


def _matching(registry: ModelRegistry, pattern: str) -> tuple[ModelRow, ...]:
    try:
        return registry.matching(pattern)
    except UnknownName as error:
        raise BadInput(
            f"--model {pattern}: {error} A model without a row is named by its folder (./{pattern}), its GGUF file or"
            " its repository (OWNER/NAME); `refutable models add` writes its row"
        ) from None
