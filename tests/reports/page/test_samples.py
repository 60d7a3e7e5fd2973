"""The samples that the page draws are those that were judged: their mean is the estimate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refutable.options import Options
from refutable.reports.page.samples import Samples
from refutable.session import Session
from refutable.traces.store import Store

CLAIMS = """\
schema: 1
claims:
- {id: as-it-is, statement: s, evidence: measured, models: {names: [tiny-gpt-neox]}, for: each,
   prompts: few.txt, test: {statistic: mean, of: last_gain, predicts: "< 1"}}
- {id: against-itself, statement: s, evidence: intervention, models: {names: [tiny-gpt-neox]}, for: each,
   prompts: few.txt, test: {statistic: mean, of: last_gain, under: ablate-mlp, blocks: all, against: plain,
   predicts: "< 0"}}
- {id: against-a-norm, statement: s, evidence: measured, models: {names: [tiny-gpt-neox]}, for: each,
   prompts: few.txt, test: {statistic: mean, of: last_gain, against: {norm: centred}, predicts: "< 0"}}
- {id: drawn, statement: s, evidence: initialization, models: {names: [tiny-gpt-neox]}, for: each, prompts: few.txt,
   seeds: [3, 4, 5, 6, 7], test: {statistic: mean, of: last_gain, predicts: "< 1"}}
- {id: caused, statement: s, evidence: causal, test: {experiment: runs.csv, holds: any, contrasts: [
   {of: gain, difference: [a, b], predicts: "< 0"}, {of: gain, cell: a, predicts: "> 9"}]}}
"""
RUNS = "cell,seed,gain\n" + "".join(f"a,{seed},{seed / 7 + seed**2}\nb,{seed + 1},{seed / 3}\n" for seed in range(7))


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("samples")
    (folder / "claims.yaml").write_text(CLAIMS, encoding="utf-8")
    (folder / "runs.csv").write_text(RUNS, encoding="utf-8")
    (folder / "few.txt").write_text("\n".join(f"one more prompt {n}" for n in range(6)) + "\n", encoding="utf-8")
    session = Session.prepare(Options(claims=folder / "claims.yaml", offline=True, device="cpu"))
    session.plan_for(session.cases)
    rows = {row.claim: row for row in map(session.try_case, session.cases)}
    samples = Samples(session.source.store)
    known = session.known_claims
    return rows, {name: samples.of(row, known[name]) for name, row in rows.items()}, known


@pytest.mark.parametrize("name", ["as-it-is", "against-itself", "against-a-norm", "drawn"])
def test_the_mean_of_what_is_drawn_is_what_was_found(tried, name):
    rows, samples, _ = tried
    (sample,) = samples[name]
    assert rows[name].estimate.value == pytest.approx(np.mean(sample["values"]), rel=1e-4, abs=1e-5)
    assert len(sample["values"]) == rows[name].estimate.n == sample["of_all"]


def test_differences_and_seeds_say_what_they_are_of(tried):
    _, samples, _ = tried
    told = {name: (of[0]["of"], of[0]["by"], of[0]["prompts"][0]) for name, of in samples.items()}
    assert told == {
        "as-it-is": ("last_gain", "prompt", "one more prompt 0"),
        "against-itself": ("difference of last_gain", "prompt", "one more prompt 0"),
        "against-a-norm": ("difference of last_gain", "prompt", "one more prompt 0"),
        "drawn": ("last_gain", "seed", "seed 3"),
        "caused": ("gain, a less b", "seed", "seed 1"),
    }


def test_each_contrast_has_its_seeds(tried):
    _, samples, _ = tried
    less, alone = samples["caused"]
    assert alone["values"] == pytest.approx([seed / 7 + seed**2 for seed in range(7)], rel=1e-4)
    shared = range(1, 7)
    assert less["values"] == pytest.approx([s / 7 + s**2 - (s - 1) / 3 for s in shared], rel=1e-4)
    assert less["prompts"] == [f"seed {seed}" for seed in shared]
    assert (less["region"], alone["region"]) == ([None, 0.0], [9.0, None])


def test_without_the_traces_there_is_no_sample(tried, tmp_path: Path):
    rows, _, known = tried
    empty = Samples(Store(tmp_path))
    assert {name: len(empty.of(row, known[name])) for name, row in rows.items()} == {
        **dict.fromkeys(rows, 0),
        "caused": 2,  # which is in a table, not in the store
    }
