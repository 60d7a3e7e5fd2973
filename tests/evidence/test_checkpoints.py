"""Trajectories of made-up checkpoints whose truth is known: what is taken of each prompt, and what is judged of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from refutable._util.strict_yaml import parse_yaml
from refutable.claims import MeasuredClaim
from refutable.claims.cases import cases_of
from refutable.claims.file import claims_from
from refutable.errors import NotMeasured, Undecidable
from refutable.evidence.checkpoints import TAKEN, aligned, in_order
from refutable.evidence.measured import judge_measured
from refutable.evidence.plan import needs
from refutable.models.device import Device
from refutable.models.registry import load_registry
from refutable.models.revisions import Revisions
from refutable.models.selection import Selection
from refutable.statistics import STATISTICS, Data
from refutable.statistics.sample import Sample
from refutable.verdicts.judge import Judgement

REGISTRY = load_registry()
STEPS = (0, 1, 16, 128, 1000)
PROMPTS = tuple(f"prompt {i}" for i in range(20))
NOISE = np.random.default_rng(0).normal(0, 0.05, (len(STEPS), len(PROMPTS)))
CPU = Device("cpu", "CPU", int(64e9))


class Source:
    """Numbers made up for each checkpoint: what a sample source does, as far as a trajectory asks."""

    table = None

    def __init__(self, means: Mapping[str, float], absent: tuple[str, ...] = ()) -> None:
        self.means, self.absent = means, absent
        self.selection = Selection(REGISTRY, CPU, frozenset({"pythia-70m", "pythia-160m"}))

    def samples(self, test: object, prompts: str, subject: object, *rest: object, **more: object) -> tuple[Sample, ...]:
        del prompts, rest, more
        model = subject.model  # type: ignore[attr-defined]
        values = self._values(model)
        if test.of_revision:  # type: ignore[attr-defined]
            values = values - self._values(f"{model.partition('@')[0]}@{test.other.revision}")  # type: ignore[attr-defined]
        return (Sample("last_gain", values, "prompt", (), PROMPTS),)

    def _values(self, model: str) -> NDArray[np.float64]:
        return self.means[model] + NOISE[STEPS.index(int(REGISTRY[model].fact("step")))]

    def find_weights(self, subject: object, spec: object, **more: object) -> object:
        del spec, more
        model = subject.model  # type: ignore[attr-defined]
        if model in self.absent:
            raise NotMeasured(f"{model} is not at hand", "pytest")
        return type("Weights", (), {"form": "safetensors"})

    def prompts(self, name: str) -> tuple[str, ...]:
        del name
        return PROMPTS


def means(model: str, *values: float) -> dict[str, float]:
    return {f"{model}@step{step}": value for step, value in zip(STEPS, values, strict=True)}


RISING, FALLING = (
    means("pythia-70m", 1.0, *(1 + 0.2 * np.log10(STEPS[1:]))),
    means("pythia-160m", 2.0, 1.5, 1.2, 1.1, 1.0),
)


def claim_of(test: str, more: str = "") -> MeasuredClaim:
    text = (
        "schema: 1\nclaims:\n  - id: a\n    statement: s\n    evidence: measured\n"
        f"    models: {{names: [pythia-70m, pythia-160m], revisions: {[f'step{n}' for n in STEPS]}}}\n"
        f"    test: {test}\n{more}"
    )
    (claim,) = claims_from(parse_yaml(text, "c.yaml"))
    assert isinstance(claim, MeasuredClaim)
    return claim


def judged(test: str, more: str = "", absent: tuple[str, ...] = ()) -> dict[str, Judgement]:
    claim = claim_of(test, more)
    source = Source({**RISING, **FALLING}, absent)
    cases = cases_of([claim], REGISTRY, "c.yaml")
    return {case.id: judge_measured(claim, case.models, source) for case in cases}  # type: ignore[arg-type]


@pytest.mark.parametrize("take", ["trend", "slope", "spearman"])
def test_what_is_taken_of_each_prompt_is_what_the_statistic_of_that_name_estimates(take: str) -> None:
    rng = np.random.default_rng(3)
    x, y = np.array([0.0, 1.0, 3.0, 8.0, 9.0, 20.0]), rng.normal(size=(6, 4))
    y[2, 1] = y[4, 1]  # a tie

    def estimate(column: NDArray[np.float64]) -> float:
        return STATISTICS[take].fit(Data((Sample("y", column, "unit"), Sample("x", x, "unit")))).value

    assert TAKEN[take](x, y) == pytest.approx([estimate(column) for column in y.T])


def test_what_never_changes_does_not_rise() -> None:
    still = np.ones((5, 3))
    assert all((take(np.arange(5.0), still) == 0).all() for take in TAKEN.values())


def test_a_planted_trend_is_found_of_each_model_with_prompts_as_units() -> None:
    found = judged("{statistic: trend, of: last_gain, fact: log_step, predicts: '> 0'}")
    assert {name: one.verdict.value for name, one in found.items()} == {
        "a-pythia-70m": "SUPPORTED",
        "a-pythia-160m": "REFUTED",
    }
    estimate = found["a-pythia-70m"].estimate
    assert estimate is not None
    assert (estimate.n, estimate.unit) == (20, "prompt")
    assert estimate.value == pytest.approx(0.2, abs=0.02)  # 0.2 for each tenfold; step 0 has no logarithm
    assert found["a-pythia-70m"].details["checkpoints"] == "5 of pythia-70m (step0, step1, step16, step128, step1000)"


def test_of_several_models_the_model_is_the_unit_and_never_the_checkpoint() -> None:
    (pooled,) = judged(
        "{statistic: trend, of: last_gain, fact: log_step, predicts: '> 0'}", "    for: pooled\n"
    ).values()
    assert pooled.estimate is not None
    assert (pooled.estimate.n, pooled.estimate.unit) == (2, "model")
    assert pooled.verdict == "INCONCLUSIVE"
    (passing,) = judged(
        "{statistic: models_passing, of: last_gain, along: {fact: log_step, take: trend}, holds: '> 0',"
        " predicts: '>= 1'}"
    ).values()
    assert passing.verdict == "SUPPORTED"
    assert passing.estimate is not None
    assert passing.estimate.value == 1
    (every,) = judged("{statistic: trend, of: last_gain, fact: step, predicts: '> 0'}", "    for: all\n").values()
    assert every.verdict == "REFUTED"


def test_the_first_step_is_the_planted_one() -> None:
    test = "{statistic: boundary, of: last_gain, fact: step, holds: '> 1.3', predicts: 'within [128, 128]'}"
    found = judged(test)
    assert found["a-pythia-70m"].verdict == "SUPPORTED"
    assert found["a-pythia-70m"].estimate is not None
    assert found["a-pythia-70m"].estimate.value == 128
    never = found["a-pythia-160m"]
    assert never.verdict == "REFUTED"
    assert never.estimate is not None
    assert never.estimate.low == np.inf


def test_it_settles_where_it_is_what_it_will_be() -> None:
    test = (
        "{statistic: boundary, of: last_gain, fact: step, against: {revision: step1000}, holds: 'within [-0.25, 0.25]',"
        " predicts: '<= 16'}"
    )
    found = judged(test)
    assert {name: one.verdict.value for name, one in found.items()} == {
        "a-pythia-70m": "REFUTED",  # 1.24 at step 16, 1.42 at step 128, 1.6 at the end
        "a-pythia-160m": "SUPPORTED",  # 1.5 at step 1, 1.2 at step 16, 1.0 at the end
    }
    assert [one.estimate and one.estimate.value for one in found.values()] == [128, 16]


def test_a_checkpoint_that_cannot_be_read_leaves_no_verdict_of_its_model() -> None:
    test = "{statistic: trend, of: last_gain, fact: step, predicts: '> 0'}"
    claim, source = claim_of(test), Source({**RISING, **FALLING}, ("pythia-70m@step16",))
    one, other = cases_of([claim], REGISTRY, "c.yaml")
    with pytest.raises(NotMeasured, match="1 of 5 checkpoints of pythia-70m cannot be read") as error:
        judge_measured(claim, one.models, source)  # type: ignore[arg-type]
    assert error.value.fix == "pytest --model pythia-70m --revision step16"
    assert judge_measured(claim, other.models, source).verdict == "REFUTED"  # type: ignore[arg-type]


def test_two_names_of_one_step_are_one_point_and_one_point_is_no_trajectory() -> None:
    names = ("pythia-70m@step143000", "pythia-70m@main", "pythia-70m@step0")
    found, x = in_order(names, "step", REGISTRY)
    assert found == ("pythia-70m@step0", "pythia-70m@step143000")
    assert x.tolist() == [0, 143000]
    with pytest.raises(Undecidable, match="at least 2 checkpoints, here 1"):
        in_order(names, "log_step", REGISTRY)
    with pytest.raises(NotMeasured, match="says no step"):
        in_order(("pythia-70m@dev", "pythia-70m@step1"), "step", REGISTRY)


def test_checkpoints_read_on_other_prompts_are_refused() -> None:
    one = Sample("last_gain", np.zeros(2), "prompt", (), ("a", "b"))
    with pytest.raises(NotMeasured, match="not all read on the same prompts"):
        aligned([one, Sample("last_gain", np.zeros(2), "prompt", (), ("a", "c"))])


def test_a_plan_has_every_checkpoint_and_what_it_is_held_against() -> None:
    test = "{statistic: mean, of: last_gain, against: {revision: step0}, predicts: '> 0'}"
    cases = cases_of([claim_of(test)], REGISTRY, "c.yaml")
    selection = Selection(REGISTRY, CPU, frozenset({"pythia-70m"}), expands=Revisions())
    (case,) = (case for case in cases if case.id == "a-pythia-70m-step16")
    assert {(subject.model, subject.revision) for subject, _ in needs(case, selection)} == {
        ("pythia-70m@step16", "step16"),
        ("pythia-70m@step0", "step0"),
    }


def test_another_model_is_held_against_one_at_the_same_revision() -> None:
    text = "{statistic: mean, of: last_gain, against: {model: pythia-410m}, predicts: '> 0'}"
    (case, *_) = cases_of([claim_of(text)], REGISTRY, "c.yaml")
    selection = Selection(REGISTRY, CPU, frozenset({"pythia-70m", "pythia-410m"}))
    assert {subject.model for subject, _ in needs(case, selection)} == {"pythia-70m@step0", "pythia-410m@step0"}
