"""Jobs: every pass over one model at one revision, which one process makes in one go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from refutable.evidence.plan import Plan
from refutable.models.subject import INIT, PRETRAINED, Subject
from refutable.traces.passes import Pass

Passes = tuple[tuple[Subject, tuple[Pass, ...]], ...]


@dataclass(frozen=True, slots=True)
class Job:
    """What is measured of one model at one revision; it is never cut in two, so that its files are fetched once.

    Attributes:
        model: name of its row in the registry.
        revision: as it was asked for; None for the registry's.
        passes: the passes over each subject: its trained weights, its fresh draws, its other dtypes.
    """

    model: str
    revision: str | None
    passes: Passes

    @property
    def id(self) -> str:
        """Its name in words: the model, and the revision if one was asked for."""
        return called(self.model, self.revision)

    @property
    def base(self) -> str:
        """Name of the model, whatever its revision."""
        return self.model.partition("@")[0]

    @property
    def units(self) -> Iterator[tuple[Subject, Pass]]:
        """Each subject with each of its passes."""
        return ((subject, spec) for subject, passes in self.passes for spec in passes)


def jobs_of(plan: Plan) -> tuple[Job, ...]:
    """Return the jobs of a plan, in its order."""
    grouped: dict[tuple[str, str | None], list[tuple[Subject, tuple[Pass, ...]]]] = {}
    for subject, passes in plan.items():
        grouped.setdefault((subject.model, subject.revision), []).append((subject, passes))
    return tuple(Job(model, revision, tuple(passes)) for (model, revision), passes in grouped.items())


def called(model: str, revision: str | None) -> str:
    """Return a model at a revision in words; the name of its row may say the revision already."""
    return model if revision is None or "@" in model else f"{model} at {revision}"


def subject_text(subject: Subject) -> str:
    """Return what tells a subject from the others of its job, in words; empty for those of its row in float32."""
    told = [f"seed {subject.seed}"] if subject.weights == INIT else []
    told += [subject.weights] if subject.weights not in (INIT, PRETRAINED) else []
    told += [subject.dtype] if subject.dtype != "float32" else []
    told += ["in its chat template"] if subject.chat_template else []
    return ", ".join(told)
