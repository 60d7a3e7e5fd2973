"""The forecast of memory: what it grows with, and that what cannot fit is refused before it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from refutable.errors import WeightsUnavailable
from refutable.measurement import session
from refutable.measurement.forecast import Forecast, forecast
from refutable.measurement.loading import room
from refutable.models.registry import load_registry
from refutable.models.subject import Subject
from refutable.models.weights import Finder
from refutable.prompts.find import load_prompts
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import Pass

REGISTRY = load_registry()
FORWARD = Pass("forward", "grand-unified-25")


def of(name: str, spec: Pass = FORWARD, lengths: tuple[int, ...] = (20, 20), **changes: str) -> Forecast:
    row = REGISTRY[name]
    return forecast(row, row.config, Subject(name, **changes), spec, lengths)  # type: ignore[arg-type]


def test_weights_are_their_parameters_and_half_of_them_in_sixteen_bits() -> None:
    assert of("pythia-70m").weights == 4 * REGISTRY["pythia-70m"].parameters
    assert of("pythia-70m", dtype="bfloat16").weights == 2 * REGISTRY["pythia-70m"].parameters


def test_the_largest_batch_is_what_counts_and_one_prompt_is_the_least() -> None:
    one, two, eight = (of("pythia-70m", lengths=(20,) * n) for n in (1, 2, 8))
    assert two.activations == pytest.approx(2 * one.activations, rel=0.3)
    assert one.total < two.total < eight.total
    many = of("pythia-70m", lengths=(4000,) * 100)  # batches hold 8192 tokens at most
    assert many.activations == of("pythia-70m", lengths=(4000, 4000)).activations


def test_eager_attention_grows_with_the_square_of_a_prompt() -> None:
    dense, eager = "pythia-70m", "gptj"
    assert REGISTRY[eager].architecture.attention_implementation == "eager"
    short, long = of(eager, lengths=(500,)), of(eager, lengths=(2000,))
    assert long.activations > 5 * short.activations
    assert of(dense, lengths=(2000,)).activations < 4.5 * of(dense, lengths=(500,)).activations


def test_a_gradient_through_all_blocks_keeps_what_they_hold_and_a_probe_takes_next_to_nothing() -> None:
    assert of("pythia-160m", Pass("reach", "p")).activations > 5 * of("pythia-160m").activations
    assert of("pythia-160m", Pass("wiring")) == Forecast(0)
    assert "0.65 GB of weights" in str(of("pythia-160m"))


def test_linearity_holds_matrices_of_as_many_blocks_as_it_may() -> None:
    small = of("pythia-160m", Pass("linearity", "p"))
    assert small.reductions > 12 * 64 * 768**2 > of("pythia-160m", Pass("rank", "p")).reductions
    assert of("gptj", Pass("linearity", "p")).reductions < 3 * 64 * 4096**2


def test_what_cannot_fit_is_refused_with_the_flag_that_helps_and_nothing_is_loaded(
    finder: Finder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row, subject = REGISTRY["tiny-gpt2"], Subject("tiny-gpt2")
    wanted = {FORWARD: (finder.find(row, subject), "0" * 64, {})}
    least = of("tiny-gpt2", lengths=(15,))  # the longest prompt has 15 words or more
    monkeypatch.setattr(session, "load_model", lambda *given: pytest.fail("it was loaded"))
    monkeypatch.setattr(room, "free_memory", lambda: least.weights)

    def prompts(name: str) -> PromptSet:
        return load_prompts(name, Path())

    ((spec, error),) = session.measure_subject(row, subject, wanted, prompts, tmp_path)
    assert spec == FORWARD
    assert isinstance(error, WeightsUnavailable)
    assert error.reason.startswith("tiny-gpt2: forward over grand-unified-25 takes at least 0.00 GB")
    assert error.fix.startswith("pytest --model tiny-gpt2 --dtype bfloat16")
    in_half = Subject("tiny-gpt2", dtype="bfloat16")
    wanted = {FORWARD: (finder.find(row, in_half), "0" * 64, {})}
    monkeypatch.setattr(room, "free_memory", lambda: 0)
    ((_, error),) = session.measure_subject(row, in_half, wanted, prompts, tmp_path)
    assert isinstance(error, WeightsUnavailable)
    assert error.fix == "shorter prompts (--prompts), or a larger device"
