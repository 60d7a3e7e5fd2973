"""Trajectories: the checkpoints of a model in the order of training, and one number of each prompt over all of them.

Checkpoints of one training are no sample of anything: each comes out of the one before. What varies is the prompt, and
between models the model. So a slope over steps is taken of each prompt, and a statistic of prompts, or of models, is
fitted to these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refutable._util.text import counted, few
from refutable.claims.parts import Along
from refutable.errors import NotMeasured, Undecidable
from refutable.evidence.sample_source import SampleSource
from refutable.models.registry import ModelRegistry
from refutable.models.revision_names import split_name
from refutable.statistics.sample import Sample
from refutable.traces.passes import Pass

Samples = tuple[Sample, ...]
LEAST = 2
SHOWN = 4  # revisions that a command names one by one


def present(points: Sequence[str], source: SampleSource) -> tuple[str, ...]:
    """Return the checkpoints of a trajectory, if all of them can be read here.

    Raises:
        NotMeasured: some cannot: what holds of the others may not hold of all.
    """
    if source.table is not None:
        absent = {one: f"not in {source.table.name}" for one in points if one not in source.table.rows}
        if absent:
            named = few([split_name(one)[1] for one in absent], SHOWN)
            raise NotMeasured(
                f"{source.table.name} has no rows of {len(absent)} of {len(points)} checkpoints ({named})"
            )
        return tuple(points)
    lacking: dict[str, NotMeasured] = {}
    for one in points:
        try:
            source.find_weights(source.selection.subject(one), Pass("forward"))
        except NotMeasured as error:
            lacking[one] = error
    if not lacking:
        return tuple(points)
    model = split_name(next(iter(lacking)))[0]
    if len(lacking) == len(points) == 1 or not source.selection.__contains__(model):
        raise next(iter(lacking.values()))
    names = [split_name(one)[1] for one in lacking]
    asked = source.selection.registry[model].asked
    command = " ".join(f"--revision {name}" for name in names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")
    raise NotMeasured(
        f"{len(lacking)} of {counted(len(points), 'checkpoint')} of {model} cannot be read ({few(names, SHOWN)}):"
        f" {next(iter(lacking.values())).reason}",
        f"pytest --model {asked} {command}",
    )


@lru_cache(maxsize=256)  # every claim on a model asks for the same
def in_order(
    points: tuple[str, ...], fact: str, registry: ModelRegistry
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return checkpoints in the order of training, and their fact, shape (checkpoints,); each step once.

    Step 0, which has no logarithm, is left out where the fact is one.

    Raises:
        NotMeasured: the name of one does not say its step.
        Undecidable: fewer than two are left.
    """
    kept = [one for one in points if fact != "log_step" or registry[one].fact("step") != 0]
    at: dict[float, str] = {}
    for one in kept:
        at.setdefault(
            float(registry[one].fact(fact)), one
        )  # of two names of one step, as step143000 and main, the first
    if len(at) < LEAST:
        raise Undecidable(f"a trajectory needs at least {LEAST} checkpoints, here {len(at)}")
    values = sorted(at)
    return tuple(at[value] for value in values), np.array(values)


def along_checkpoints(along: Along, samples: Mapping[str, Samples], registry: ModelRegistry) -> Samples:
    """Return one number of each prompt for each variable: how its value goes with the checkpoints.

    Args:
        along: with what, and which number.
        samples: of each checkpoint by name, with values of shape (prompts,).
        registry: knows the step of each.

    Raises:
        NotMeasured, Undecidable: as `in_order`; the checkpoints were not read on the same prompts.
    """
    names, x = in_order(tuple(samples), along.fact, registry)
    each = [aligned([samples[name][at] for name in names]) for at in range(len(samples[names[0]]))]
    return tuple(_once(along, of, x) for of in each)


def aligned(samples: Sequence[Sample]) -> list[Sample]:
    """Return samples of several checkpoints once they are known to be of the same prompts, in the same order.

    Raises:
        NotMeasured: they are not.
    """
    first = samples[0]
    for one in samples:
        if one.prompts != first.prompts or one.values.shape != first.values.shape:
            raise NotMeasured(
                f"the checkpoints were not all read on the same prompts, so that {first.of} has no trajectory"
            )
    return list(samples)


def _once(along: Along, samples: list[Sample], x: NDArray[np.float64]) -> Sample:
    """Return what is taken of the same samples, computed on first call: variations differ in their statistic alone."""
    asked = ("along", along.fact, along.take, *map(id, samples))
    found: tuple[Sample, list[Sample]] = samples[0].once(asked, lambda: (_of_prompts(along, samples, x), samples))
    return found[0]  # the samples are kept so that their ids stay theirs


def _of_prompts(along: Along, samples: Sequence[Sample], x: NDArray[np.float64]) -> Sample:
    y = np.stack([sample.values for sample in samples])  # (checkpoints, prompts) or (checkpoints, prompts, layers)
    flat = TAKEN[along.take](x, y.reshape(len(x), -1))
    return replace(samples[0], values=flat.reshape(y.shape[1:]), measured_in="", ends=None)


def median_slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median over pairs of checkpoints of each column's slope: what `trend` estimates.

    Args:
        x: a fact of the checkpoints, each value once, shape (k,).
        y: shape (k, n).
    """
    i, j = np.triu_indices(len(x), 1)
    return np.asarray(np.median((y[i] - y[j]) / (x[i] - x[j])[:, None], axis=0))


def least_squares_slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each column's slope by least squares: what `slope` estimates; shapes as `median_slope`."""
    apart = x - x.mean()
    return np.asarray(apart @ (y - y.mean(axis=0)) / (apart @ apart))


def rank_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each column's rank correlation, in [-1, 1]: what `spearman` estimates; 0 where nothing changes."""
    ranks, of = stats.rankdata(y, axis=0), stats.rankdata(x)
    scale = ranks.std(axis=0) * of.std()
    together = ((ranks - ranks.mean(axis=0)) * (of - of.mean())[:, None]).mean(axis=0)
    return np.asarray(np.divide(together, scale, out=np.zeros_like(scale), where=scale > 0))


TAKEN = {"trend": median_slope, "slope": least_squares_slope, "spearman": rank_correlation}
