"""The store: what is put comes back, nothing half-written is read, and two writers do not hurt each other."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import Timeout
from places import ROOT
from synthetic import make_trace, random_vectors

from refutable._util.hashing import key_of
from refutable.metrics import METRICS, evaluate
from refutable.models.file_hashes import FileHashes
from refutable.traces.store import Store, cache_folder
from refutable.traces.trace import ENTROPY_COLUMN

TRACE = make_trace(random_vectors(), absent={ENTROPY_COLUMN: "no probabilities"})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def place_of(store, key=TRACE.key):
    return store.folder / "traces" / key[:2] / key


def test_what_is_put_comes_back(store):
    store.put(TRACE)
    found = store.get(TRACE.key)
    assert (found.key, found.meta) == (TRACE.key, TRACE.meta)
    assert found.blocks.equals(TRACE.blocks)
    assert found.prompts.equals(TRACE.prompts)
    assert found.blocks[ENTROPY_COLUMN].null_count == len(found.blocks)  # missing stays missing, and is not zero


@pytest.mark.parametrize("name", ["last_gain", "cos_attention_mlp", "output_entropy"])
def test_a_metric_cannot_tell_a_stored_trace_from_a_new_one(store, name):
    assert name in METRICS
    store.put(TRACE)
    np.testing.assert_array_equal(evaluate(name, store.get(TRACE.key)).values, evaluate(name, TRACE).values)


def test_nan_comes_back_as_nan(store):
    spoiled = make_trace(random_vectors(), spoiled={"norm.block_output": (0, 0, 1, np.nan)})
    store.put(spoiled)
    assert np.isnan(store.get(spoiled.key).blocks["norm.block_output"][0].as_py())


def test_what_was_never_put_is_none(store):
    assert store.get("f" * 64) is None


@pytest.mark.parametrize("left", [(), ("blocks.parquet",), ("blocks.parquet", "prompts.parquet")])
def test_a_half_written_folder_is_never_read(store, left):
    store.put(TRACE)
    for file in place_of(store).iterdir():
        if file.name not in left:
            file.unlink()
    assert store.get(TRACE.key) is None


def test_a_damaged_folder_is_replaced_by_the_next_put(store):
    store.put(TRACE)
    (place_of(store) / "meta.json").unlink()
    store.put(TRACE)
    assert store.get(TRACE.key).blocks.equals(TRACE.blocks)


def test_a_second_put_of_the_same_key_changes_nothing(store):
    store.put(TRACE)
    before = {file.name: file.stat().st_mtime_ns for file in place_of(store).iterdir()}
    store.put(TRACE)
    assert {file.name: file.stat().st_mtime_ns for file in place_of(store).iterdir()} == before
    assert [entry.name for entry in place_of(store).parent.iterdir()] == [TRACE.key]  # nothing is left aside


def test_a_put_that_fails_leaves_nothing(store):
    unwritable = dataclasses.replace(TRACE, meta={**TRACE.meta, "closure_worst": float("nan")})
    with pytest.raises(ValueError, match="JSON"):  # strict JSON: NaN never becomes null unseen
        store.put(unwritable)
    assert store.get(TRACE.key) is None
    assert [*store.folder.rglob("*")] == []


@pytest.mark.parametrize("name", ["meta.json", "blocks.parquet", "prompts.parquet", "seal"])
def test_no_byte_of_a_stored_trace_can_change_unseen(store, name):
    store.put(TRACE)
    file = place_of(store) / name
    whole = file.read_bytes()
    generator = np.random.default_rng(0)
    for at in {0, len(whole) - 1, *generator.integers(len(whole), size=150).tolist()}:
        changed = bytearray(whole)
        changed[at] ^= 1 << int(generator.integers(8))
        file.write_bytes(changed)
        assert store.get(TRACE.key) is None, at
        assert TRACE.key in store.damaged
    for cut in (b"", whole[:-1], whole[: len(whole) // 2], whole + b"\0"):
        file.write_bytes(cut)
        assert store.get(TRACE.key) is None
    store.put(TRACE)
    assert store.get(TRACE.key).blocks.equals(TRACE.blocks), "what is damaged is replaced"


def test_a_trace_in_another_ones_place_is_not_believed(store):
    other = dataclasses.replace(make_trace(random_vectors(seed=1)), key="another")
    assert other.key != TRACE.key
    store.put(TRACE)
    store.put(other)
    here, there, aside = place_of(store), place_of(store, other.key), store.folder / "aside"
    here.rename(aside), there.rename(here), aside.rename(there)
    assert store.get(TRACE.key) is store.get(other.key) is None


def test_a_colleague_can_read_what_was_stored(store):
    store.put(TRACE)
    umask = os.umask(0)
    os.umask(umask)
    for path in (place_of(store), *place_of(store).iterdir()):
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~umask


def test_what_a_killed_writer_left_is_swept_a_day_later(store):
    store.put(TRACE)
    left = [place_of(store).parent / ".x.aside", store.folder / "converted" / ".y.aside"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "half").write_text("half")
    store.sweep()
    assert all(folder.is_dir() for folder in left), "a writer that is at work is left alone"
    for folder in left:
        os.utime(folder, (0, 0))
    store.sweep()
    assert not any(folder.exists() for folder in left)
    assert store.get(TRACE.key) is not None


WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from synthetic import make_trace, random_vectors
from refutable.traces.store import Store
trace = make_trace(random_vectors())
store = Store(Path(sys.argv[1]))
(Path(sys.argv[1]) / f"ready-{sys.argv[3]}").touch()
while len(list(Path(sys.argv[1]).glob("ready-*"))) < 2:
    time.sleep(0.001)
for _ in range(20):
    store.put(trace)
    assert store.get(trace.key).blocks.equals(trace.blocks)
"""


def test_two_processes_that_put_the_same_key_do_not_hurt_each_other(store):
    command = [sys.executable, "-c", WRITER, str(store.folder), str(ROOT / "tests")]
    writers = [subprocess.Popen([*command, str(i)], stderr=subprocess.PIPE, text=True) for i in range(2)]
    errors = [writer.communicate(timeout=60)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], errors
    assert store.get(TRACE.key) is not None
    assert [entry.name for entry in place_of(store).parent.iterdir()] == [TRACE.key]


def test_whoever_does_not_hold_the_lock_waits(store):
    with store.lock("subject"), pytest.raises(Timeout):
        store.lock("subject").acquire(timeout=0.05)
    with store.lock("subject"), store.lock("another"):
        pass


# Addresses


def test_an_address_depends_on_the_facts_and_not_on_their_order():
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    assert len({key_of(f) for f in ({"a": 1}, {"a": 2}, {"a": "1"}, {"b": 1}, {"a": 1.0}, {"a": None}, {})}) == 7
    assert len(key_of({})) == 64


def test_what_is_not_json_has_no_address():
    for value in (float("nan"), {1, 2}, Path("x")):
        with pytest.raises((TypeError, ValueError)):
            key_of({"a": value})


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return the home of a user with no variables set, on a system whose caches are in ``Caches``."""
    for name in ("REFUTABLE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(
        "platformdirs.user_cache_path", lambda name, *, appauthor: tmp_path / "Library" / "Caches" / name
    )
    return tmp_path


def test_the_cache_is_where_the_system_keeps_caches(home):
    assert cache_folder() == home / "Library" / "Caches" / "refutable"


def test_the_folder_of_earlier_versions_is_still_used_where_there_is_one(home, monkeypatch):
    (home / ".cache" / "refutable").mkdir(parents=True)
    assert cache_folder() == home / ".cache" / "refutable"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    assert cache_folder() == home / "Library" / "Caches" / "refutable"
    (home / "xdg" / "refutable").mkdir(parents=True)
    assert cache_folder() == home / "xdg" / "refutable"


def test_the_folder_that_the_user_names_goes_before_every_other(home, monkeypatch):
    (home / ".cache" / "refutable").mkdir(parents=True)
    monkeypatch.setenv("REFUTABLE_CACHE", str(home / "own"))
    assert cache_folder() == home / "own"


# Hashes of files


ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc", FIPS 180-4, B.1
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_files_hash_is_its_sha_256(tmp_path):
    (tmp_path / "w").write_bytes(b"abc")
    (tmp_path / "empty").write_bytes(b"")
    hashes = FileHashes(tmp_path / "cache")
    assert hashes.sha256(tmp_path / "w") == ABC
    assert hashes.sha256(tmp_path / "empty") == EMPTY


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path, monkeypatch):
    file = tmp_path / "w"
    file.write_bytes(b"abc")
    hashes = FileHashes(tmp_path / "cache")
    reads = []
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: reads.append(self.name) or opened(self, *a, **k))
    assert hashes.sha256(file) == hashes.sha256(file) == FileHashes(tmp_path / "cache").sha256(file) == ABC
    assert reads.count("w") == 1
    file.write_bytes(b"abd")  # the same size
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert hashes.sha256(file) != ABC
    file.write_bytes(b"abc")
    assert hashes.sha256(file) == ABC


def test_a_file_that_is_called_like_a_hash_is_hashed_like_any_other(tmp_path):
    blob = tmp_path / "blobs" / ABC
    blob.parent.mkdir()
    blob.write_bytes(b"")
    (tmp_path / "model.safetensors").symlink_to(blob)
    assert FileHashes(tmp_path / "cache").sha256(tmp_path / "model.safetensors") == EMPTY


@pytest.mark.parametrize("how", ["in place", "by another file"])
def test_weights_rewritten_at_the_same_size_and_time_are_other_weights(tmp_path, how):
    file, hashes = tmp_path / "w", FileHashes(tmp_path / "cache")
    file.write_bytes(b"abd")
    before = file.stat()
    assert hashes.sha256(file) != ABC
    if how == "in place":
        file.write_bytes(b"abc")
    else:
        (tmp_path / "other").write_bytes(b"abc")
        (tmp_path / "other").replace(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hashes.sha256(file) == ABC


def test_a_memo_that_was_changed_or_moved_is_not_believed(tmp_path):
    file, other, hashes = tmp_path / "w", tmp_path / "x", FileHashes(tmp_path / "cache")
    file.write_bytes(b"abc")
    other.write_bytes(b"")
    assert (hashes.sha256(file), hashes.sha256(other)) == (ABC, EMPTY)
    memos = [*(tmp_path / "cache" / "hashes").iterdir()]
    assert len(memos) == 2
    texts = [memo.read_text() for memo in memos]
    for memo, text in zip(memos, texts[::-1], strict=True):
        memo.write_text(text)  # each in the other's place
    assert (hashes.sha256(file), hashes.sha256(other)) == (ABC, EMPTY)
    for memo in memos:
        whole = memo.read_text()
        for at in range(len(whole)):
            memo.write_text(whole[:at] + ("0" if whole[at] != "0" else "1") + whole[at + 1 :])
            assert (hashes.sha256(file), hashes.sha256(other)) == (ABC, EMPTY)
    memos[0].write_bytes(b"\xff\xfe")
    assert (hashes.sha256(file), hashes.sha256(other)) == (ABC, EMPTY)


def test_a_memo_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder ought to be")
    (tmp_path / "w").write_bytes(b"abc")
    assert FileHashes(tmp_path / "cache").sha256(tmp_path / "w") == ABC


def test_the_hash_of_several_files_depends_on_names_and_contents_and_not_on_order(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    one, two, same_name = tmp_path / "a" / "1", tmp_path / "a" / "2", tmp_path / "b" / "1"
    for path, content in ((one, b"x"), (two, b"y"), (same_name, b"z")):
        path.write_bytes(content)
    of = FileHashes(tmp_path / "cache").of_files
    assert of([one, two]) == of([two, one])
    different = [[one, two], [one], [two], [same_name], [one, same_name], []]
    assert len({of(files) for files in different}) == len(different)


def test_a_large_file_is_told_apart_by_any_byte_of_any_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("refutable.models.file_hashes._PIECE", 8)
    path = tmp_path / "weights"
    content = bytearray(range(20))
    seen = set()
    for i in range(21):
        changed = bytearray(content)
        if i < 20:
            changed[i] ^= 1
        path.write_bytes(changed)
        os.utime(path, (i, i))
        seen.add(FileHashes(tmp_path / "cache").of_files([path]))
        assert FileHashes(tmp_path / "cache").of_files([path]) in seen
    path.write_bytes(content[:16])
    assert len(seen | {FileHashes(tmp_path / "cache").of_files([path])}) == 22


def test_meta_is_readable_json(store):
    store.put(TRACE)
    assert json.loads((place_of(store) / "meta.json").read_text())["model"] == "made-up"
