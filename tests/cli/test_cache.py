"""What is kept of measurements: listed, removed when asked, verified byte by byte."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import numpy as np
import pytest
from synthetic import make_trace, random_vectors

from refutable.traces.store import Store


@pytest.fixture
def store(tmp_path):
    kept = Store(tmp_path / "cache")
    for number, model in enumerate(("tiny-gpt2", "tiny-gpt2", "tiny-gptj")):
        made = make_trace(random_vectors())
        kept.put(replace(made, key=f"{number}" * 64, meta={**made.meta, "model": model}))
    (tmp_path / "cache" / "converted" / "one").mkdir(parents=True)
    (tmp_path / "cache" / "converted" / "one" / "weights").write_bytes(bytes(2_000_000))
    return kept


def keys(store):
    return [one.key[0] for one in store.stored()]


def test_it_is_listed_by_model_or_trace_by_trace_with_sizes(called, store):
    told = called("cache", "ls").output
    lines = {line.split()[0]: line.split() for line in told.splitlines()}
    assert lines["tiny-gpt2"][1] == "2"
    assert lines["tiny-gptj"][1] == "1"
    assert "3 traces, " in told
    assert "converted: 2.0 MB" in told
    long = called("cache", "ls", "--long", "tiny-gpt2").output
    assert [line.split()[0] for line in long.splitlines()[1:-1]] == ["0" * 12, "1" * 12]
    assert sum(one.bytes for one in store.stored()) > 3_000


def test_an_empty_cache_is_said_to_be_empty(called):
    told = called("cache", "ls")
    assert told.exit_code == 0
    assert told.output.startswith("0 traces, 0 B in ")


def test_nothing_goes_without_a_yes(called, store):
    told = called("cache", "rm", "tiny-gpt2", answer="n\n")
    assert told.exit_code == 1
    assert keys(store) == ["0", "1", "2"]
    assert called("cache", "rm", "tiny-gpt2", answer="y\n").exit_code == 0
    assert keys(store) == ["2"]
    assert not list(store.folder.glob("traces/*/.*"))


@pytest.mark.parametrize(("which", "left"), [(("tiny-*",), []), (("111111",), ["0", "2"]), (("--all",), [])])
def test_what_goes_is_named_by_glob_by_key_or_all(called, store, which, left):
    assert called("cache", "rm", *which, "--yes").exit_code == 0
    assert keys(store) == left
    assert (store.folder / "converted").is_dir()


def test_what_is_old_goes_by_age(called, store):
    old = time.time() - 40 * 86_400
    for file in (store.folder / "traces" / "00" / ("0" * 64)).iterdir():
        os.utime(file, (old, old))
    assert called("cache", "rm", "--older-than", "30d", "--yes").exit_code == 0
    assert keys(store) == ["1", "2"]


def test_converted_weights_go_only_when_asked(called, store):
    told = called("cache", "rm", "--converted", "--yes")
    assert told.exit_code == 0
    assert keys(store) == ["0", "1", "2"]
    assert not (store.folder / "converted").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name models, keys or --older-than"),
        (("tiny-gpt2", "--all"), "name models, keys or --older-than"),
        (("gpt3",), "gpt3: no trace of such a model, nor a key that begins so"),
        (("--older-than", "month"), "write hours, days or weeks: 12h, 30d or 8w"),
    ],
)
def test_what_cannot_be_meant_is_refused(called, store, arguments, said):
    told = called("cache", "rm", *arguments, "--yes")
    assert told.exit_code == 4
    assert said in told.output
    assert keys(store) == ["0", "1", "2"]


def test_traces_are_pushed_and_pulled(called, store, tmp_path):
    there = tmp_path / "there"
    told = called("cache", "push", there, "tiny-gpt2")
    assert told.output.startswith(f"2 traces copied to {there} (")
    assert told.output.endswith("), 0 skipped, 0 damaged\n")
    called("cache", "rm", "--all", "--yes")
    assert called("cache", "pull", f"file://{there}").exit_code == 0
    assert keys(store) == ["0", "1"]
    (there / "traces" / "00" / ("0" * 64) / "meta.json").write_text("{}")
    called("cache", "rm", "--all", "--yes")
    told = called("cache", "pull", there)
    assert told.exit_code == 1
    assert told.output.startswith(f"damaged: {'0' * 64} in {there}\n1 trace copied to ")
    assert keys(store) == ["1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("push", "memory://there", "gpt3"), "gpt3: no trace of such a model"),
        (("push", "s4://there"), "unknown kind of store 's4'"),
        (("push", "{cache}"), "that is this store ($REFUTABLE_CACHE); name another"),
        (("pull", "{cache}-not-there"), "there is no store there"),
    ],
)
def test_what_cannot_be_copied_is_refused(called, store, arguments, said):
    told = called("cache", *(one.format(cache=store.folder) for one in arguments))
    assert told.exit_code == 4
    assert said in told.output


def test_a_store_elsewhere_is_listed_verified_and_removed_from(called, store, monkeypatch):
    called("cache", "push", "memory://elsewhere")
    monkeypatch.setenv("REFUTABLE_LOCAL_CACHE", str(store.folder))
    monkeypatch.setenv("REFUTABLE_CACHE", "memory://elsewhere")
    told = called("cache", "ls").output
    assert "3 traces, " in told
    assert f" in memory://elsewhere\non this machine, in {store.folder}:\nconverted: 2.0 MB\n" in told
    assert called("cache", "verify").output.endswith(" read, 0 damaged\n")
    assert called("cache", "rm", "--older-than", "1h", "--yes").exit_code == 0
    assert called("cache", "rm", "tiny-gpt2", "--yes").exit_code == 0
    assert called("cache", "ls").output.splitlines()[-3].startswith("1 trace, ")
    told = called("cache", "rm", "--all", "--converted", "--yes").output
    assert f"in memory://elsewhere and 2.0 MB of converted weights in {store.folder}" in told
    assert keys(store) == ["0", "1", "2"], "what was pushed is a copy"
    assert "measurements: memory://elsewhere (0 traces 0 B)" in called("doctor").output


def test_a_flipped_bit_is_found_and_named(called, store):
    assert called("cache", "verify").output.endswith(" read, 0 damaged\n")
    file = store.folder / "traces" / "11" / ("1" * 64) / "blocks.parquet"
    content = np.frombuffer(file.read_bytes(), dtype=np.uint8).copy()
    content[len(content) // 2] ^= 1
    file.write_bytes(content.tobytes())
    told = called("cache", "verify")
    assert told.exit_code == 1
    assert f"damaged: {'1' * 64} (tiny-gpt2)" in told.output
    assert "refutable cache rm 111111111111" in told.output
    assert called("cache", "rm", "111111111111", "--yes").exit_code == 0
    assert called("cache", "verify").exit_code == 0
