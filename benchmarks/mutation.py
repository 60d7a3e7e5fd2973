"""The command: put small faults into the verdict calculus and the statistics, and print those that no test notices."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from benchmarks.mutants import Mutant, mutants_of

ROOT = Path(__file__).parent.parent
PACKAGE = "src/refutable"
OF_FILE = {
    "verdicts/judge.py": [
        "verdicts/test_judge.py",
        "verdicts/test_p_values.py",
        "verdicts/test_quantifiers.py",
        "statistics/test_power.py",
    ],
    "verdicts/falsifiability/reachable.py": ["verdicts/test_judge.py", "statistics/test_power.py"],
    "verdicts/quantifiers.py": ["verdicts/test_quantifiers.py"],
    "statistics/region.py": ["statistics/test_region.py", "verdicts/test_judge.py"],
    "boundary": ["test_boundary.py", "test_distribution_free.py"],
    "bounded_mean": ["test_bounded_mean.py", "test_distribution_free.py"],
    "checks": ["test_checks.py", "test_every_statistic.py", "test_t_statistics.py"],
    "clustered_mean": ["test_t_statistics.py"],
    "correlation": ["test_correlation.py", "test_partial_correlations.py"],
    "median": ["test_median.py", "test_distribution_free.py"],
    "models_passing": ["test_layers_passing.py"],
    "paired_difference": ["test_paired_difference_and_slope.py", "test_t_statistics.py", "test_mean.py"],
    "permutation_difference": ["test_permutation_difference.py", "test_distribution_free.py"],
    "power": ["test_power_against_statsmodels.py", "test_power.py"],
    "slope": ["test_paired_difference_and_slope.py", "test_t_statistics.py"],
    "student": ["test_power_against_statsmodels.py", "test_mean.py", "test_t_statistics.py", "test_power.py"],
    "trend": ["test_trend.py", "test_distribution_free.py"],
    "trimmed_mean": ["test_t_statistics.py"],
    "within_categories": ["test_partial_correlations.py", "test_correlation.py", "test_t_statistics.py"],
}
GENERAL = ("checks", "student", "power", "__init__", "assumptions")  # no statistic of their own name


class Tried(NamedTuple):
    """A mutant that was tried, its file and its outcome: killed, survived or timed out."""

    file: str
    mutant: Mutant
    outcome: str


def main(
    file: Annotated[list[str] | None, typer.Option(help="below src/refutable; all that decide by default")] = None,
    sample: Annotated[int, typer.Option(min=0, help="so many mutants, drawn by seed; 0: all")] = 0,
    seed: Annotated[int, typer.Option(help="of the sample")] = 0,
    workers: Annotated[int, typer.Option(min=1)] = os.cpu_count() or 1,
    timeout: Annotated[int, typer.Option(min=1, help="seconds a mutant's tests may take")] = 120,
) -> None:
    """Run the tests of its file on each mutant; exit status 1 if one survives."""
    started = time.perf_counter()
    chosen = [(name, mutant) for name in file or deciding_files() for mutant in mutants_of(_source(name))]
    if sample:
        picked = random.Random(seed).sample(range(len(chosen)), min(sample, len(chosen)))
        chosen = [chosen[i] for i in sorted(picked)]
    with ThreadPoolExecutor(workers) as pool:
        names = sorted({name for name, _ in chosen})
        for name, passes in zip(names, pool.map(passes_whole, names), strict=True):
            if not passes:
                raise typer.BadParameter(f"the tests of {name} fail on the file as it is: they can kill nothing")
        tried = []
        for one in pool.map(lambda one: try_mutant(*one, timeout), chosen):
            tried.append(one)
            if one.outcome == "survived":
                typer.echo(f"{PACKAGE}/{one.file}:{one.mutant.line}: {one.mutant.change}")
    alive = [one for one in tried if one.outcome == "survived"]
    late = sum(one.outcome == "timed out" for one in tried)
    typer.echo(
        f"{len(tried)} mutants: {len(tried) - len(alive)} killed ({late} by the time limit), {len(alive)} survived;"
        f" {time.perf_counter() - started:.0f} s on {workers} processes"
    )
    raise typer.Exit(1 if alive else 0)


def deciding_files() -> list[str]:
    """Return the files that decide: the calculus, the quantifiers, predictions and every statistic."""
    statistics = sorted((ROOT / PACKAGE / "statistics").glob("*.py"))
    of_statistics = (f"statistics/{path.name}" for path in statistics)
    return list(dict.fromkeys([*(name for name in OF_FILE if "/" in name), *of_statistics]))


def tests_of(name: str) -> list[str]:
    """Return the pytest arguments that select the fast tests of a file below src/refutable."""
    if name in OF_FILE:
        return [f"tests/{test}" for test in OF_FILE[name]]
    stem = Path(name).stem
    own = OF_FILE.get(stem, [f"test_{stem}.py"])
    own = [test for test in own if (ROOT / "tests/statistics" / test).is_file()]
    files = list(dict.fromkeys((*own, "test_every_statistic.py")))
    if stem in GENERAL:
        return [f"tests/statistics/{test}" for test in files]
    names = " or ".join(dict.fromkeys((stem, *_registered(name), *(Path(test).stem for test in own))))
    return [*(f"tests/statistics/{test}" for test in files), "-k", names]


def passes_whole(name: str) -> bool:
    """Whether a file's tests pass without a fault."""
    return try_mutant(name, Mutant(0, "nothing", _source(name)), 600).outcome == "survived"


def try_mutant(name: str, mutant: Mutant, timeout: int) -> Tried:
    """Run a file's tests on a temporary copy of the package with the fault."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "src", Path(folder) / "src", ignore=shutil.ignore_patterns("__pycache__"))
        (Path(folder) / PACKAGE / name).write_text(mutant.source, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", *tests_of(name), "-x", "-q", "-p", "no:cacheprovider"]
        path = os.pathsep.join(filter(None, (f"{folder}/src", os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        try:
            done = _run(command, environment, timeout)
        except subprocess.TimeoutExpired:
            return Tried(name, mutant, "timed out")
    return Tried(name, mutant, "survived" if done == 0 else "killed")


def _run(command: Sequence[str], environment: dict[str, str], timeout: int) -> int:
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=timeout, capture_output=True, check=False)
    if done.returncode not in (0, 1, 2):  # 2: the fault already shows when the tests are collected
        raise typer.BadParameter(f"pytest could not run:\n{done.stdout.decode()}{done.stderr.decode()}")
    return done.returncode


def _registered(name: str) -> list[str]:
    """Return the statistics that a file registers."""
    from refutable.statistics import STATISTICS

    module = f"refutable.statistics.{Path(name).stem}"
    return [of for of in STATISTICS if STATISTICS[of].fit.__module__ == module]


def _source(name: str) -> str:
    return (ROOT / PACKAGE / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
