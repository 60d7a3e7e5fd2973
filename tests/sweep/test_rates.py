"""Rates: what stored traces say of a device, and an estimate from them."""

from __future__ import annotations

from typing import Any

import pytest

from refutable.models.subject import Subject
from refutable.sweep.rates import ASSUMED_PASS, START, Rates, assumed, job_seconds, line_through, measured
from refutable.traces.passes import Pass


def meta(parameters: int, seconds: float, **changes: Any) -> dict[str, Any]:
    told = {"device_title": "CPU", "pass": "forward", "prompt_set": "p", "pass_seconds": seconds, "dtype": "float32"}
    return {**told, "load_seconds": 0.5 + parameters * 4 / 2e9, "described": {"parameters": parameters}, **changes}


def test_a_line_is_found_where_times_are_one() -> None:
    line = line_through([(work, 0.2 + 3e-9 * work) for work in (1e6, 1e8, 1e10)])
    assert line.fixed == pytest.approx(0.2)
    assert line.per == pytest.approx(3e-9)
    assert line_through([(1.0, 2.0), (10.0, 1.0)]).per >= 0  # a larger model is never quicker


def test_rates_are_those_of_the_same_device_alone_and_say_from_how_many() -> None:
    seconds = {10**7: 0.3, 10**8: 1.2, 10**9: 10.2}  # 0.2 + 1e-10 x parameters x 100 tokens
    metas = [meta(n, s) for n, s in seconds.items()]
    other = [meta(n, 99.0, device_title="a GPU") for n in seconds]
    damaged = [{}, meta(10**7, 1.0, described=None), meta(10**7, 1.0, prompt_set="unknown")]
    rates = measured([*metas, *other, *damaged], "cpu", "CPU", {"p": 100}.get)
    assert rates.source.startswith("3 measured passes on CPU")
    assert rates.seconds(Pass("forward", "p"), 3 * 10**8, 100) == pytest.approx(3.2, rel=0.01)
    assert rates.load_seconds(4e9) == pytest.approx(2.5, rel=0.01)
    reach = rates.seconds(Pass("reach", "p"), 10**9, 100)  # never measured: three times a forward pass
    assert reach == pytest.approx(3 * 10.2, rel=0.01)


def test_without_measurements_rates_are_assumed_and_say_so() -> None:
    rates = measured([meta(10**7, 1.0)], "cpu", "CPU", {"p": 100}.get)  # too few to draw a line through
    assert rates == assumed("cpu")
    assert "assumed" in rates.source
    fixed, per = ASSUMED_PASS["cpu"]
    assert rates.seconds(Pass("forward", "p"), 10**9, 100) == pytest.approx(fixed + per * 1e11)
    assert START > 0


def test_a_job_loads_each_subject_once_and_probes_load_nothing() -> None:
    rates = Rates("cpu")
    one = Subject("m")
    passes = [Pass("forward", "p"), Pass("loss", "p")]
    alone = job_seconds({one: passes}, 10**9, rates, lambda name: 100)
    assert alone == pytest.approx(rates.load_seconds(4e9) + 2 * rates.seconds(passes[0], 10**9, 100))
    twice = job_seconds({one: passes[:1], Subject("m", dtype="bfloat16"): passes[:1]}, 10**9, rates, lambda name: 100)
    assert twice == pytest.approx(
        rates.load_seconds(4e9) + rates.load_seconds(2e9) + 2 * rates.seconds(passes[0], 10**9, 100)
    )
    assert job_seconds({one: [Pass("wiring")]}, 10**12, rates, lambda name: 0) < 1


def test_a_kind_measured_once_is_like_a_forward_pass_times_what_it_took() -> None:
    metas = [meta(n, 0.2 + 1e-8 * n) for n in (10**7, 10**8, 10**9)]
    metas.append(meta(10**8, 12.0, **{"pass": "jacobian"}))
    rates = measured(metas, "cpu", "CPU", {"p": 100}.get)
    assert rates.seconds(Pass("jacobian", "p"), 10**8, 100) == pytest.approx(12.0, rel=0.01)
    assert rates.seconds(Pass("jacobian", "p"), 10**9, 100) == pytest.approx(12.0 / 1.2 * 10.2, rel=0.01)


def test_a_load_that_several_passes_share_counts_once_and_the_sum_is_right() -> None:
    quick = [meta(10**7, 0.3 + n / 1000, load_seconds=0.1) for n in range(20)]  # one load
    slow = [meta(10**7, 0.5, load_seconds=1.1)]
    rates = measured([*quick, *slow], "cpu", "CPU", {"p": 100}.get)
    assert rates.load_seconds(4e7) == pytest.approx(0.6)


def test_a_first_pass_that_waits_for_its_process_is_not_what_the_others_take() -> None:
    times = [(1.0, 0.1)] * 9 + [(1.0, 5.0)]
    assert line_through(times)(1.0) == pytest.approx(0.12)  # (9 x 0.1 + 3 x 0.1) / 10
    noisy = [(1.0, seconds) for seconds in (0.05, 0.1, 0.2, 0.1)]
    assert line_through(noisy)(1.0) == pytest.approx(0.1125)  # their mean
