"""Which models this run may measure, with which weights, dtype and device."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from refutable._util.reading import exists
from refutable.errors import BadInput, NotMeasured, UnknownName
from refutable.models.adapter import read_adapter
from refutable.models.device import Device
from refutable.models.registry import ModelRegistry
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
        revision: for the named models.
        dtype: for every model.
        device: for every model.
        adapter: folder of one that is merged into the named model's weights, or None.
    """

    registry: ModelRegistry
    device: Device
    named: frozenset[str] = frozenset()
    weights: str = PRETRAINED
    revision: str | None = None
    dtype: str = "float32"
    adapter: str | None = None
    _chosen: frozenset[str] = field(init=False)
    _subjects: dict[tuple[str, int | None, str | None], Subject] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        defaults = {row.name for row in self.registry if row.default or row.stand_in}
        object.__setattr__(self, "_chosen", frozenset(defaults | self.named))

    def __contains__(self, model: str) -> bool:
        return model in self._chosen

    def subject(self, model: str, *, seed: int | None = None, dtype: str | None = None) -> Subject:
        """Return how a model is to be tried.

        Args:
            model: name of its row.
            seed: freshly drawn weights of this seed, whatever the command line says.
            dtype: another dtype than the run's.

        Raises:
            NotMeasured: it is neither a default subject nor named.
        """
        row = self.usable(model)
        if model not in self._chosen:
            raise NotMeasured(f"{model} was not selected", f"pytest --model {row.asked}")
        asked = model, seed, dtype
        if asked not in self._subjects:
            self._subjects[asked] = self._subject(model, seed, dtype)
        return self._subjects[asked]

    def usable(self, model: str) -> ModelRow:
        """Return a model's row; raises NotMeasured where nothing can be measured of it."""
        row = self.registry[model]
        if row.unusable:
            raise NotMeasured(f"{model}: {row.unusable}")
        return row

    def _subject(self, model: str, seed: int | None, dtype: str | None) -> Subject:
        mine = model in self.named or (not self.named and self.registry[model].default)
        subject = Subject(
            model,
            weights=self.weights if mine else PRETRAINED,
            revision=self.revision if mine else None,
            dtype=dtype or self.dtype,
            device=self.device.name,
            named=model in self.named,
            adapter=self.adapter if model in self.named else None,
        )
        if seed is None:
            return subject
        given = subject.weights if subject.weights not in (PRETRAINED, INIT) else None
        return replace(subject, weights=INIT, seed=seed, adapter=None, tokenizer=given)


def select(
    registry: ModelRegistry,
    device: Device,
    *,
    models: tuple[str, ...] = (),
    weights: str = PRETRAINED,
    revision: str | None = None,
    dtype: str = "float32",
    adapter: str | None = None,
) -> Selection:
    """Check what the command line asks for and return it as a Selection.

    Raises:
        BadInput: an unknown model or dtype; no named model is one; a path, revision or adapter for more than one model;
            a path that is not there.
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
    if revision is not None and weights != PRETRAINED:
        raise BadInput(f"--revision {revision}: --weights {weights} has no revisions; give one of the two")
    if revision is not None and len(named) != 1:
        raise BadInput(f"--revision {revision}: a revision belongs to one model; name it with one --model")
    if adapter is not None:
        _check_adapter(adapter, weights, [registry[name] for name in named])
    return Selection(registry, device, named, weights, revision, dtype, adapter)


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
