"""A minute of the campaign (`make torture` runs all of it), and that it finds what it looks for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from cache import Bench, flips, hostile_weights
from processes import Runs, disks, kills, workers
from readers import fuzz, readers
from tally import Tally

from refutable.traces import sealed

EVERY = (
    *("claims", "models", "map", "lock", "catalogue", "table.csv", "table.json", "table.jsonl", "table.parquet"),
    *("prompts.txt", "prompts.jsonl", "prompts.csv", "prompts.yaml", "journal", "verdicts", "config", "index"),
    *("tokenizer", "safetensors", "gguf"),
)


def clean(tally: Tally, least: int) -> None:
    assert not tally.faults, "\n".join(tally.examples)
    assert tally.trials >= least, "the campaign hardly ran"


@pytest.fixture
def cache_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUTABLE_CACHE", "")  # put back afterwards: a bench sets it


@pytest.mark.parametrize("name", EVERY)
def test_no_bytes_make_a_reader_crash(name: str, tmp_path: Path) -> None:
    every = readers(tmp_path)
    assert every.keys() == set(EVERY)
    clean(fuzz(name, every[name], tmp_path, random.Random(1), seconds=30.0, most=60), least=20)


@pytest.mark.parametrize("name", EVERY)
def test_each_reader_takes_its_good_file(name: str, tmp_path: Path) -> None:
    reader = readers(tmp_path)[name]
    path = tmp_path / reader.file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(reader.seeds[0])
    reader.read(path)


def test_no_hostile_weights_become_a_model(tmp_path: Path) -> None:
    clean(hostile_weights(tmp_path, random.Random(1), seconds=60.0, most=40), least=30)


@pytest.mark.usefixtures("cache_is_kept")
@pytest.mark.parametrize("form", ["gguf", "bin"])
def test_no_damage_to_the_cache_changes_a_verdict(form: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path, form)
    assert bench.run(tmp_path / "pristine") == bench.reference, "and without damage nothing is measured again"
    clean(flips(bench, "cache", random.Random(1), seconds=90.0, most=4), least=3)


@pytest.mark.usefixtures("cache_is_kept")
def test_the_campaign_finds_a_store_that_believes_what_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "_seal", lambda key, parts: "0" * 64)
    bench, rng = Bench(tmp_path, "gguf"), random.Random(1)
    trials = (flips(bench, "cache", rng, seconds=60.0, most=1) for _ in range(20))
    assert any(tally.faults for tally in trials)


@pytest.mark.usefixtures("cache_is_kept")
def test_nothing_is_lost_when_runs_are_killed_and_disks_are_full(tmp_path: Path) -> None:
    runs = Runs(Bench(tmp_path, "gguf"), random.Random(1), fresh=False)
    clean(kills(runs, seconds=60.0, most=3), least=1)
    clean(workers(runs, seconds=60.0, most=2), least=1)
    clean(disks(runs, seconds=60.0, most=2), least=1)
