"""A recorded experiment: what each training run of each cell came to, read from a CSV file.

One row is one training run at one time. The columns ``cell`` and ``seed`` say which; ``size`` (of the network) and
``when`` (``trained``, or ``start`` for the first weights) may be left out. Every other column is an outcome, a number
or empty. `refutable twins` writes such a table; so can anybody who has trained networks that differ in one factor.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refutable._util.reading import MEGABYTE, read_text
from refutable._util.text import few, leaves_folder
from refutable.errors import BadInput, NotMeasured, UnknownName

TRAINED, START = "trained", "start"
WHOLE = "-"  # the size of runs that name none
_KEYS = ("size", "cell", "seed", "when")
DIGITS = 8  # characters of a number beyond which two runs do not agree by chance
_MOST = 64 * MEGABYTE
_PACKAGED = resources.files("refutable") / "data" / "experiments"

Key = tuple[str, str, str]  # size, cell, when


@dataclass(frozen=True, slots=True)
class Experiment:
    """A table of outcomes.

    Attributes:
        name: by which claims name it.
        outcomes: names of its numbers.
        cells: names of its cells, those that were not trained yet among them.
        sizes: of its networks, likewise.
        values: of each size, cell and time, the outcomes of each seed.
        digest: SHA-256 of what was read.
        about: who made it and of what, in words; empty if the table does not say.
        twins: whether this project trained the networks.
        made: when the last run ended, as ISO 8601 with a time zone; None if the table does not say.
        prompts: hash of the prompts that outcomes were read on, if known.
    """

    name: str
    outcomes: tuple[str, ...]
    cells: tuple[str, ...]
    sizes: tuple[str, ...]
    values: Mapping[Key, Mapping[int, Mapping[str, float]]] = field(repr=False)
    digest: str
    about: str = ""
    twins: bool = False
    made: str | None = None
    prompts: str | None = None

    def seeds(self, size: str, cell: str, when: str = TRAINED) -> tuple[int, ...]:
        """Return the seeds that a cell was trained from."""
        return tuple(sorted(self.values.get((size, cell, when), {})))

    def left_out(self, weights: Mapping[str, float], size: str, when: str = TRAINED) -> dict[int, tuple[str, ...]]:
        """Return the seeds that only some cells of a contrast have, and which cells lack each; arguments as `contrast`.

        A run that diverged, or that somebody dropped, is one of them.
        """
        of = {cell: set(self._runs(cell, size, when)) for cell in weights}
        every = sorted(set().union(*of.values()))
        lacking = {seed: tuple(cell for cell, seeds in of.items() if seed not in seeds) for seed in every}
        return {seed: cells for seed, cells in lacking.items() if cells}

    def unfinished(self, weights: Mapping[str, float], size: str) -> tuple[str, ...]:
        """Return the runs of a contrast's cells, as ``cell seed 3``, that were begun and have no outcome.

        Their first weights are in the table, or later seeds of the same cell are.
        """
        found = []
        for cell in weights:
            trained, started = (set(self._runs(cell, size, when)) for when in (TRAINED, START))
            others = set().union(*(self._runs(other, size, TRAINED) for other in weights))
            holes = {seed for seed in others - trained if trained and seed < max(trained)}
            found += [f"{cell} seed {seed}" for seed in sorted((started - trained) | holes)]
        return tuple(found)

    def spread(self, outcome: str) -> float:
        """Return the largest difference of an outcome between any two runs of the table; NaN if none is known."""
        known = [run[outcome] for runs in self.values.values() for run in runs.values() if outcome in run]
        finite = [value for value in known if math.isfinite(value)]
        return max(finite) - min(finite) if finite else math.nan

    def _runs(self, cell: str, size: str, when: str) -> Mapping[int, Mapping[str, float]]:
        """Return the outcomes of each seed of a cell, which may name a size of its own."""
        own, _, name = cell.rpartition("/")
        return self.values.get((own or size, name, when), {})

    def shared_seeds(self, weights: Mapping[str, float], size: str, when: str = TRAINED) -> tuple[int, ...]:
        """Return the seeds that all cells of a contrast have; arguments as `contrast`."""
        return tuple(sorted(set.intersection(*(set(self._runs(cell, size, when)) for cell in weights))))

    def contrast(
        self, outcome: str, weights: Mapping[str, float], size: str, when: str = TRAINED
    ) -> NDArray[np.float64]:
        """Return a linear contrast of an outcome over cells, one value for each seed that all of them have: shape (n,).

        Args:
            outcome: one of `outcomes`.
            weights: of each cell; ``SIZE/CELL`` names a cell of another size.
            size: of the cells that name none.
            when: ``trained`` or ``start``.

        Raises:
            NotMeasured: a cell was not trained, or the outcome is not known of it.
        """
        of = {cell: self._runs(cell, size, when) for cell in weights}
        if lacking := [cell for cell, runs in of.items() if not runs]:
            at = "" if size == WHOLE else f" of size {size}"
            raise NotMeasured(f"experiment {self.name} has no run{at} of {few(lacking)}")
        seeds = self.shared_seeds(weights, size, when)
        if not seeds:
            raise NotMeasured(f"experiment {self.name}: no seed is shared by {few(list(weights))}")
        values = np.array([sum(w * of[cell][seed][outcome] for cell, w in weights.items()) for seed in seeds])
        if not np.isfinite(values).all():
            raise NotMeasured(f"experiment {self.name} does not know {outcome} of {few(list(weights))} ({when})")
        return values


def load_experiment(name: str, beside: Path | None = None) -> Experiment:
    """Load a packaged experiment by name, or a table by path.

    Args:
        name: of a packaged experiment, or a relative path that ends in .csv.
        beside: folder that a path is relative to: that of the claims file.

    Raises:
        BadInput: there is none, or the table is unusable; the message says where and how to mend it.
    """
    if not name.endswith(".csv"):
        return _packaged(name)
    if leaves_folder(name):
        raise BadInput(f"{name!r} does not stay in this folder; write a relative path, with / and without ..")
    path = (beside or Path()) / name
    absent = "write a table with the columns cell, seed and outcomes (docs/experiments.md)"
    return _parse(path.stem, read_text(path, most=_MOST, absent=absent), str(path))


def packaged_experiments() -> tuple[str, ...]:
    """Return the names of the packaged experiments."""
    names = (entry.name for entry in _PACKAGED.iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


@functools.cache
def _packaged(name: str) -> Experiment:
    """Return a packaged experiment: a description, and a table unless no network was trained yet."""
    if name not in (known := packaged_experiments()):
        raise UnknownName("experiment", name, known)
    about = json.loads((_PACKAGED / f"{name}.json").read_text(encoding="utf-8"))
    told: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in about.items()}
    table = _PACKAGED / f"{name}.csv"
    if not table.is_file():
        return Experiment(name, values={}, digest="", twins=True, **told)
    return replace(_parse(name, table.read_text(encoding="utf-8"), f"{name}.csv"), twins=True, **told)


def _parse(name: str, text: str, place: str) -> Experiment:
    rows = csv.DictReader(io.StringIO(text))
    columns = list(rows.fieldnames or ())
    if lacking := [key for key in ("cell", "seed") if key not in columns]:
        raise BadInput(f"{place}:1 has no column {' and no column '.join(lacking)}; found: {few(columns) or 'nothing'}")
    outcomes = tuple(column for column in columns if column not in _KEYS)
    if not outcomes:
        raise BadInput(f"{place}:1 has no outcome: add a column of numbers beside {few(columns)}")
    values: dict[Key, dict[int, dict[str, float]]] = {}
    problems: list[str] = []
    for number, row in enumerate(rows, start=2):
        try:
            _add(values, row, outcomes)
        except ValueError as error:
            problems.append(f"{place}:{number} {error}")
    problems += [f"{place}: {problem}" for problem in _copies(values)]
    if not values and not problems:
        problems = [f"{place}: has no row; one row is one training run"]
    if problems:
        raise BadInput("\n".join(problems))
    sizes, cells = dict.fromkeys(key[0] for key in values), dict.fromkeys(key[1] for key in values)
    return Experiment(name, outcomes, tuple(cells), tuple(sizes), values, hashlib.sha256(text.encode()).hexdigest())


def _add(
    values: dict[Key, dict[int, dict[str, float]]], row: Mapping[str, str | None], outcomes: tuple[str, ...]
) -> None:
    """Add a row of the table; raises ValueError with what is wrong with it."""
    cell, seed = (row["cell"] or "").strip(), (row["seed"] or "").strip()
    if not cell or "/" in cell:
        raise ValueError(f"cell: {cell!r} is no name; write one without /")
    if not seed.isdecimal():
        raise ValueError(f"seed: {seed!r} is no whole number from 0")
    when = (row.get("when") or TRAINED).strip()
    if when not in (TRAINED, START):
        raise ValueError(f"when: {when!r}; known: {TRAINED}, {START}")
    runs = values.setdefault(((row.get("size") or WHOLE).strip(), cell, when), {})
    if int(seed) in runs:
        raise ValueError(f"cell {cell} and seed {seed} stand there twice ({when})")
    runs[int(seed)] = {name: _number(name, row[name]) for name in outcomes}


def _copies(values: Mapping[Key, Mapping[int, Mapping[str, float]]]) -> Iterator[str]:
    """Yield what is wrong where two seeds of a cell came to the same, digit for digit: one run, written twice.

    Outcomes of few digits, such as shares and rounded ones, may well agree.
    """
    for (_, cell, when), runs in values.items():
        first: dict[tuple[float, ...], int] = {}
        for seed, outcomes in runs.items():
            told = tuple(outcomes.values())
            if not any(math.isfinite(value) and len(repr(abs(value)).strip("0.")) > DIGITS for value in told):
                continue
            if (other := first.setdefault(told, seed)) != seed:
                yield (
                    f"seeds {other} and {seed} of cell {cell} have the same outcomes, digit for digit ({when}): a copy"
                    " is no replicate; keep one"
                )


def _number(name: str, text: str | None) -> float:
    if text is None or not text.strip():
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise ValueError(f"{name}: {text!r} is no finite number; leave it empty where it is not known")
    return value
