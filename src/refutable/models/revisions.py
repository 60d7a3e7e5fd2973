"""Which revisions of a model names and globs mean: of those that the hub lists, that are at hand, or on its row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from refutable._util.progress import say
from refutable._util.text import counted, few
from refutable.errors import BadInput, WeightsUnavailable, did_you_mean
from refutable.models.hub_answers import Asker
from refutable.models.hub_cache import refs_at_hand
from refutable.models.revision_names import is_glob, natural, split_name
from refutable.models.row import ModelRow
from refutable.models.training import is_commit

SHOWN = 8


@dataclass(frozen=True, slots=True)
class Known:
    """The revisions of a model that are known here.

    Attributes:
        commits: of each by name, or None where only its name is known.
        whole: whether there are no others, so that another name is a mistake.
    """

    commits: Mapping[str, str | None]
    whole: bool


@dataclass(frozen=True, slots=True)
class Revisions:
    """Expands names and globs of revisions.

    Attributes:
        asked: words of ``--revision``, for the models in `named`.
        named: names of the models that the user named, of which the hub may be asked.
        offline: whether the hub may never be asked.
        at_hand: whether the hub's own cache is looked at; where it is not, only rows say which revisions there are.
        of_table: models at revisions of which a published table has rows.
    """

    asked: tuple[str, ...] = ()
    named: frozenset[str] = frozenset()
    offline: bool = True
    at_hand: bool = False
    of_table: frozenset[str] = frozenset()
    _listed: dict[str, Mapping[str, str] | None] = field(default_factory=dict, compare=False, repr=False)

    def of_run(self, row: ModelRow) -> tuple[str, ...]:
        """Return the revisions that the command line asks for of a model; none where it asks for none.

        A name or a glob that this model does not have stands for itself, and is not measured (`check_asked`).
        """
        return self._expanded(row, self.asked, lenient=True) if row.name in self.named else ()

    def check_asked(self, rows: Iterable[ModelRow]) -> None:
        """Refuse a word of ``--revision`` that no named model has.

        Raises:
            BadInput: there is one, or a named model has no revisions.
        """
        rows = tuple(rows)
        for word in self.asked:
            if not word.strip():
                raise BadInput("--revision: is empty; write a branch, a tag, a commit or a glob")
            problems = [problem for row in rows if (problem := self._problem(row, word))]
            if len(problems) == len(rows):
                raise BadInput(f"--revision {word}: {problems[0]}")

    def expand(self, row: ModelRow, patterns: Sequence[str]) -> tuple[str, ...]:
        """Return the revisions of a model that names and globs mean, globs in natural order, each commit once.

        A glob that matches nothing stands for itself where not all revisions are known here: nothing is measured of it.

        Raises:
            BadInput: the model has no revisions, or all that it has are known and a name or glob is none of them.
        """
        return self._expanded(row, patterns, lenient=False)

    def known(self, row: ModelRow) -> Mapping[str, str | None]:
        """Return the commit of every known revision of a model by name; None where only its name is known."""
        return self._known(row, ("*",)).commits

    def here(self, row: ModelRow) -> Mapping[str, str]:
        """Return the commit of every revision that the hub's cache holds some of, by name."""
        return refs_at_hand(row.hub) if self.at_hand and row.hub is not None else {}

    def _expanded(self, row: ModelRow, patterns: Sequence[str], *, lenient: bool) -> tuple[str, ...]:
        found: dict[str, str] = {}  # by commit, or by name where that is not known
        for pattern in patterns:
            if not lenient and (problem := self._problem(row, pattern)):
                raise BadInput(problem)
            commits = self._known(row, patterns).commits
            names = [pattern]
            if is_glob(pattern):
                names = sorted((name for name in commits if fnmatchcase(name, pattern)), key=natural) or [pattern]
            for name in names:
                found.setdefault(commits.get(name) or name, name)
        return tuple(found.values())

    def _problem(self, row: ModelRow, pattern: str) -> str:
        """Return why a model cannot have such a revision, or an empty text."""
        if row.no_revisions:
            return row.no_revisions
        known = self._known(row, (pattern,))
        if not known.whole or is_commit(pattern):
            return ""
        if any(fnmatchcase(name, pattern) for name in known.commits) or pattern in known.commits:
            return ""
        names = sorted(known.commits, key=natural)
        what = f"no revision of {row.name} matches" if is_glob(pattern) else f"{row.name} has no revision"
        return f"{what} {pattern!r}; it has {few(names, SHOWN)}.{did_you_mean(pattern, names)}"

    def _known(self, row: ModelRow, patterns: Sequence[str]) -> Known:
        """Return what is known of a model's revisions, from the hub where a pattern needs it and it may be asked."""
        own = row.schedule.checkpoints
        declared: dict[str, str | None] = dict.fromkeys((*own, *row.schedule.steps.names))
        table = (split_name(name) for name in self.of_table)
        here: dict[str, str | None] = {revision: None for model, revision in table if model == row.name}
        here.update(self.here(row))
        lacking = any(is_glob(one) or (one not in here and not is_commit(one)) for one in patterns)
        listed = self._from_hub(row) if lacking else None
        if listed is not None:
            return Known({**listed}, whole=True)
        return Known({**declared, **here}, whole=bool(own))

    def _from_hub(self, row: ModelRow) -> Mapping[str, str] | None:
        if self.offline or row.hub is None or row.name not in self.named:
            return None
        if row.hub not in self._listed:
            from refutable.models.hub import list_refs

            ask = Asker(row.name, row.hub, f"pytest --model {row.asked}", row.by_path)
            try:
                self._listed[row.hub] = list_refs(row.hub, ask)
                say(f"{row.name}: {row.hub} has {counted(len(self._listed[row.hub] or ()), 'revision')}")
            except WeightsUnavailable as error:
                say(f"{row.name}: its revisions are not listed ({error.reason}); those at hand are taken")
                self._listed[row.hub] = None
        return self._listed[row.hub]
