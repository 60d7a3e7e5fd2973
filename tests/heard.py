"""A listener for tests: keeps what a run says that it is doing."""

from __future__ import annotations

from dataclasses import dataclass, field

from refutable._util.progress import Task


@dataclass
class Heard:
    """Every task that began, and every line."""

    tasks: list[Task] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def began(self, task: Task) -> None:
        self.tasks.append(task)

    def ended(self, task: Task) -> None:
        pass

    def said(self, text: str) -> None:
        self.lines.append(text)

    @property
    def names(self) -> list[str]:
        return [task.name for task in self.tasks if task.name]
