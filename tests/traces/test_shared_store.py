"""A store that several machines share: the same promises in a folder, in memory and on an S3 server."""

from __future__ import annotations

import dataclasses
import errno
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from places import ROOT
from synthetic import make_trace, random_vectors

from refutable.errors import BadInput, StoreReadOnly, StoreUnavailable
from refutable.traces import objects
from refutable.traces.copying import copy, damaged
from refutable.traces.filesystem import place_of, shown
from refutable.traces.store import Store, cache_folder, open_store

TRACE = make_trace(random_vectors())
PLACE = f"traces/{TRACE.key[:2]}/{TRACE.key}"


def another(number, **meta):
    return dataclasses.replace(TRACE, key=f"{number:064x}"[::-1], meta={**TRACE.meta, **meta})


def object_of(store, key=TRACE.key):
    """Return the filesystem and path of a trace's object."""
    fs, root = fsspec.core.url_to_fs(store.place, use_listings_cache=False, skip_instance_cache=True)
    return fs, f"{root}/traces/{key[:2]}/{key}.trace"


def fresh(store):
    return Store(store.place)


# The same of every store


def test_what_is_put_comes_back_and_stands_where_it_is_listed(any_store):
    assert any_store.get(TRACE.key) is None
    assert [*any_store.stored()] == []
    before = time.time()
    any_store.put(TRACE)
    found = fresh(any_store).get(TRACE.key)
    assert found.meta == TRACE.meta
    assert found.blocks.equals(TRACE.blocks)
    assert found.prompts.equals(TRACE.prompts)
    (one,) = any_store.stored()
    assert (one.key, one.meta) == (TRACE.key, TRACE.meta)
    assert one.bytes > 10_000
    assert before - 2 < one.written < time.time() + 2
    assert [*any_store.metas()] == [TRACE.meta]


def test_a_second_put_changes_nothing_and_remove_removes(any_store):
    any_store.put(TRACE)
    first = any_store.sealed(TRACE.key)
    other = dataclasses.replace(TRACE, meta={**TRACE.meta, "load_seconds": 1.5})
    fresh(any_store).put(other)
    assert fresh(any_store).sealed(TRACE.key) == first
    any_store.remove(TRACE.key)
    assert any_store.get(TRACE.key) is None
    assert [*any_store.stored()] == []


def test_a_copy_keeps_every_byte_and_says_what_became_of_each(any_store, tmp_path):
    here = Store(tmp_path / "here")
    for number in range(4):
        here.put(another(number))
    keys = [one.key for one in here.stored()]
    (tmp_path / "here" / "traces" / keys[3][:2] / keys[3] / "blocks.parquet").write_bytes(b"")
    any_store.put(another(0, load_seconds=2.0))
    done = copy(here, any_store, keys)
    told = done.copied, done.skipped, done.damaged
    assert [sorted(one) for one in told] == [sorted({*keys[:3]} - {another(0).key}), [another(0).key], [keys[3]]]
    back = Store(tmp_path / "back")
    assert copy(any_store, back, done.copied).bytes == done.bytes
    for key in done.copied:
        assert back.sealed(key) == here.sealed(key)
    assert copy(any_store, back, done.copied).skipped == done.copied
    assert damaged(here, keys) == [keys[3]]


def test_a_damaged_copy_at_the_other_end_is_replaced(bucket, tmp_path):
    here, there = Store(tmp_path), Store(bucket)
    here.put(TRACE), there.put(TRACE)
    fs, path = object_of(there)
    fs.pipe_file(path, fs.cat_file(path)[:-1])
    assert damaged(there, [TRACE.key]) == [TRACE.key]
    assert copy(here, there, [TRACE.key]).copied == (TRACE.key,)
    assert fresh(there).get(TRACE.key) is not None


# What is believed


@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_no_byte_of_an_object_can_change_unseen(kind, request):
    store = Store("memory://flipped") if kind == "memory" else Store(request.getfixturevalue("bucket"))
    store.put(TRACE)
    fs, path = object_of(store)
    whole = fs.cat_file(path)
    generator = np.random.default_rng(0)
    random = generator.integers(len(whole), size=400 if kind == "memory" else 30).tolist()
    for at in {*range(104), len(whole) - 1, *random} if kind == "memory" else random:
        changed = bytearray(whole)
        changed[at] ^= 1 << int(generator.integers(8))
        fs.pipe_file(path, bytes(changed))
        reader = fresh(store)
        assert reader.get(TRACE.key) is None, at
        assert reader.damaged == {TRACE.key}
    for cut in (b"", whole[:50], whole[:-1], whole[: len(whole) // 2], whole + b"\0"):
        fs.pipe_file(path, cut)
        assert fresh(store).get(TRACE.key) is None
        assert len([*fresh(store).stored()]) == 1
    fresh(store).put(TRACE)
    assert fs.cat_file(path) == whole, "what is damaged is replaced"


def test_an_object_in_another_ones_place_is_not_believed(bucket):
    store = Store(bucket)
    store.put(TRACE)
    fs, path = object_of(store)
    other = another(7)
    fs.pipe_file(object_of(store, other.key)[1], fs.cat_file(path))
    assert fresh(store).get(other.key) is None


# What is asked of a server


def test_a_trace_is_one_request_and_is_not_fetched_twice(bucket, s3):
    store = Store(bucket)
    store.put(TRACE)
    assert store.get(TRACE.key) is not None
    assert s3.counts == {"PUT": 1}, "what this process wrote is not fetched"
    reader = fresh(store)
    assert reader.get(TRACE.key).blocks.equals(reader.get(TRACE.key).blocks)
    assert s3.counts == {"PUT": 1, "GET": 1}
    assert reader.is_whole(TRACE.key)
    assert s3.counts["GET"] == 2, "a seal is verified where it is"


def test_what_was_read_longest_ago_is_fetched_again(bucket, s3, monkeypatch):
    monkeypatch.setattr(objects, "REMEMBERED", 40_000)
    store = Store(bucket)
    traces = [another(number) for number in range(4)]
    for trace in traces:
        store.put(trace)
    assert store.get(traces[3].key) is not None
    assert s3.counts == {"PUT": 4}
    assert store.get(traces[0].key) is not None
    assert s3.counts == {"PUT": 4, "GET": 1}


def test_a_listing_reads_the_beginnings_alone_and_nothing_where_no_meta_is_asked(bucket, s3):
    store = Store(bucket)
    large = another(1, note="x" * 40_000)
    for trace in (TRACE, large):
        store.put(trace)
    s3.asked.clear()
    assert len([*store.stored(described=False)]) == 2
    assert s3.counts == {}
    assert [one.meta for one in store.stored()] == [one.meta for one in sorted((TRACE, large), key=lambda t: t.key)]
    ranges = [of for method, path, of in s3.asked if path.endswith(".trace")]
    assert len(ranges) == 3
    assert "" not in ranges


# Faults


def test_every_fault_of_a_server_is_a_right_trace_or_one_line(bucket, s3):
    from s3_server import INTERNAL, SLOW_DOWN, at_random, cut, lost, reset, slow

    right, told = 0, []
    for seed in range(12):
        trace, store = another(seed), Store(bucket)
        with s3.faulty(at_random(0.3, seed, INTERNAL, SLOW_DOWN, cut, lost, reset, slow)):
            try:
                store.put(trace)
                found = fresh(store).get(trace.key)
                assert found is not None
                assert found.blocks.equals(trace.blocks)
                right += 1
            except StoreUnavailable as error:
                told.append(str(error))
        assert (left := fresh(store).get(trace.key)) is None or left.blocks.equals(trace.blocks)
        assert not fresh(store).damaged
    assert right >= 8, "most are overcome by another attempt"
    assert not any("\n" in one for one in told)


def test_what_cannot_be_read_is_no_answer_and_is_not_asked_again_at_once(bucket, s3):
    from s3_server import DENIED, INTERNAL

    Store(bucket).put(TRACE)
    store = Store(bucket)
    with s3.faulty(INTERNAL), pytest.raises(StoreUnavailable, match=f"^{bucket} cannot be read: InternalError it is$"):
        store.get(TRACE.key)
    asked = len(s3.asked)
    for ask in (store.get, store.is_whole, store.remove):
        with pytest.raises(StoreUnavailable, match="InternalError it is"):
            ask(TRACE.key)
    assert len(s3.asked) == asked
    with s3.faulty(DENIED), pytest.raises(StoreUnavailable, match="permission denied"):
        fresh(store).get(TRACE.key)


def test_a_trace_that_cannot_be_stored_is_held_and_said(bucket, s3):
    from s3_server import INTERNAL

    store = Store(bucket)
    with s3.faulty(INTERNAL):
        store.keep(TRACE)
    assert store.get(TRACE.key) is TRACE
    assert store.unstored == {TRACE.key: f"{bucket} cannot be written: InternalError it is"}
    assert fresh(store).get(TRACE.key) is None
    with pytest.raises(StoreUnavailable):
        store.is_whole(TRACE.key)


WRITER = """
import os, sys
sys.path.insert(0, sys.argv[2])
from synthetic import make_trace, random_vectors
from refutable.traces.store import Store
import dataclasses
trace = make_trace(random_vectors())
store = Store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    one = dataclasses.replace(trace, key=f"{number:064x}"[::-1], meta={**trace.meta, "load_seconds": os.getpid()})
    store.put(one)
    found = Store(store.place).get(one.key)
    assert found is not None and found.blocks.equals(one.blocks), number
"""


def writer(place):
    command = [sys.executable, "-c", WRITER, str(place), str(ROOT / "tests")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def test_two_processes_that_put_the_same_keys_leave_each_whole(bucket):
    writers = [writer(bucket) for _ in range(2)]
    for one in writers:
        assert one.stdout.readline() == "ready\n"
    errors = [one.communicate("go\n", timeout=60)[1] for one in writers]
    assert [one.returncode for one in writers] == [0, 0], errors
    store = Store(bucket)
    for number in range(5):
        key = f"{number:064x}"[::-1]
        assert store.get(key).meta["load_seconds"] in {one.pid for one in writers}
    assert not store.damaged


@pytest.mark.parametrize("moment", ["before", "within", "after"])
def test_a_writer_that_is_killed_leaves_all_of_a_trace_or_nothing(bucket, s3, moment):
    one = writer(bucket)
    assert one.stdout.readline() == "ready\n"
    key = f"{3:064x}"[::-1]

    def kill(environ, start, app):
        if environ["REQUEST_METHOD"] != "PUT" or key not in environ["PATH_INFO"]:
            return app(environ, start)
        if moment == "within":
            environ["wsgi.input"].read(1_000)
        if moment == "after":
            answer = app(environ, start)
        one.kill()
        one.wait()
        if moment == "before":
            environ["werkzeug.socket"].close()
            raise ConnectionError
        return answer if moment == "after" else app(environ, start)

    with s3.faulty(kill):
        one.communicate("go\n", timeout=60)
    store = Store(bucket)
    time.sleep(0.1)
    found = store.get(key)
    assert not store.damaged
    assert (found is not None) == (moment == "after")
    assert store.get(f"{2:064x}"[::-1]) is not None


class Mounted(LocalFileSystem):
    """A filesystem with folders, which have to be made, and no conditions: as SFTP, HDFS, SMB."""

    protocol = "mounted"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(str(path).removeprefix("mounted://"))

    def pipe_file(self, path, value):
        Path(path).write_bytes(value)


def test_a_filesystem_with_folders_is_a_store_as_well(tmp_path):
    fsspec.register_implementation("mounted", Mounted, clobber=True)
    store = open_store(f"mounted://{tmp_path}/store")
    with store.lock("subject"):
        store.put(TRACE)
    first = store.sealed(TRACE.key)
    fresh(store).put(dataclasses.replace(TRACE, meta={**TRACE.meta, "load_seconds": 1.0}))
    assert fresh(store).sealed(TRACE.key) == first
    assert [one.meta for one in store.stored()] == [TRACE.meta]
    store.remove(TRACE.key)
    assert open_store(store.place).get(TRACE.key) is None


# Stores that may be read and not written


def denied_to_write(environ, start, app):
    from s3_server import DENIED

    return (DENIED if environ["REQUEST_METHOD"] in ("PUT", "DELETE") else lambda *a: app(*a[:2]))(environ, start, app)


def test_a_store_of_a_colleague_is_read_and_nothing_is_measured_into_it(bucket, s3):
    Store(bucket).put(TRACE)
    with s3.faulty(denied_to_write):
        store = open_store(bucket)
        assert store.get(TRACE.key) is not None
        with pytest.raises(StoreReadOnly) as refused:
            store.lock("subject")
        assert refused.value.reason == (
            f"{bucket} does not hold it, and cannot be written (permission denied (AccessDenied it is))"
        )
        assert f"refutable cache pull {bucket}" in refused.value.fix


def test_a_folder_of_a_colleague_is_read_and_nothing_is_measured_into_it(tmp_path, monkeypatch):
    Store(tmp_path).put(TRACE)

    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    store = Store(tmp_path)
    assert store.get(TRACE.key) is not None
    with pytest.raises(StoreReadOnly, match=f"cannot be written .Read-only.*refutable cache pull {tmp_path}"):
        store.lock("subject")


def test_a_server_that_knows_no_condition_is_written_all_the_same(bucket, s3):
    from s3_server import fail

    refuse = fail("501 Not Implemented", "NotImplemented")

    def old(environ, start, app):
        return refuse(environ, start, app) if "HTTP_IF_NONE_MATCH" in environ else app(environ, start)

    with s3.faulty(old):
        store = Store(bucket)
        with store.lock("subject"):
            store.put(TRACE)
        first = store.sealed(TRACE.key)
        fresh(store).put(dataclasses.replace(TRACE, meta={**TRACE.meta, "load_seconds": 1.0}))
        assert store.sealed(TRACE.key) == first


# A folder that several machines mount


def test_a_share_that_hangs_is_asked_again_and_then_is_an_error_and_not_an_absence(tmp_path, monkeypatch):
    store, read, faults = Store(tmp_path), Path.read_bytes, []
    store.put(TRACE)
    monkeypatch.setattr("refutable._util.retry.PAUSES", (0.0, 0.0))

    def stale(path):
        if faults:
            raise OSError(faults.pop(), "Stale file handle")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", stale)
    faults[:] = [errno.ESTALE, errno.EIO]
    assert store.get(TRACE.key) is not None
    faults[:] = [errno.ESTALE] * 3
    with pytest.raises(OSError, match="Stale file handle"):
        store.get(TRACE.key)
    faults[:] = [errno.EMFILE]
    with pytest.raises(OSError, match="Stale"):
        store.get(TRACE.key)
    faults[:] = [errno.EACCES]
    with pytest.raises(PermissionError):
        store.is_whole(TRACE.key)


def test_a_full_disk_loses_no_measurement(tmp_path, monkeypatch):
    def full(path, *_):
        raise OSError(errno.EDQUOT, "Disk quota exceeded", str(path))

    store = Store(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="quota"):
            store.put(TRACE)
        store.keep(TRACE)
    assert store.unstored == {TRACE.key: "Disk quota exceeded"}
    assert store.get(TRACE.key) is TRACE
    assert not store.is_whole(TRACE.key)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_machines_locks_are_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("refutable.traces.store.machine", lambda: "one")
    with Store(tmp_path).lock("device-cuda-0"):
        monkeypatch.setattr("refutable.traces.store.machine", lambda: "another")
        Store(tmp_path).lock("device-cuda-0").acquire(timeout=0)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from synthetic import make_trace, random_vectors
from refutable.traces.store import Store
trace, steps = make_trace(random_vectors()), 0

def step(before):
    def done(*arguments, **named):
        global steps
        steps += 1
        if steps == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*arguments, **named)
    return done

for moment in range(1, 8):
    if not (child := os.fork()):
        for name in ("write_bytes", "write_text", "rename", "mkdir"):
            setattr(Path, name, step(getattr(Path, name)))
        Store(Path(sys.argv[1], str(moment))).put(trace)
        os._exit(0)
    print(moment, os.waitpid(child, 0)[1])
"""


def test_a_writer_that_is_killed_leaves_nothing_that_is_read_in_a_folder(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(ROOT / "tests")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[1::2] == ["9"] * 7, "each was killed, at a step of its own"
    for moment in range(1, 8):
        store = Store(tmp_path / str(moment))
        assert store.get(TRACE.key) is None
        assert not store.damaged
        left = [*store.folder.glob("traces/*/.*")]
        for folder in left:
            os.utime(folder, (0, 0))
        store.sweep()
        assert not [*store.folder.glob("traces/*/.*")]
        store.put(TRACE)
        assert store.get(TRACE.key) is not None


# From what the user writes to a store


@pytest.mark.parametrize(
    ("named", "place"),
    [
        ("cache", Path("cache")),
        ("/a/b", Path("/a/b")),
        ("file:///a/b", Path("/a/b")),
        ("file:/a/b", Path("/a/b")),
        ("S3://lab/x/", "s3://lab/x"),
        ("memory://x", "memory://x"),
        ("C:/cache", Path("C:/cache")),
    ],
)
def test_a_name_is_a_folder_or_a_url(named, place):
    assert place_of(named) == place


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("s3:/lab", r"a URL begins with two slashes \(s3://lab\)"),
        ("simplecache::s3://lab", "made of several"),
        ("s3://", "names no bucket; write s3://BUCKET"),
        ("s4://lab", "unknown kind of store 's4'; known: .*, s3, "),
        ("sftp://host/lab", "paramiko"),
        ("gs://lab", "this takes gcsfs, which is not installed here: pip install gcsfs"),
        ("s3://not a name", 'Invalid bucket name "not a name": Bucket name must match'),
        ("s3://no-such-bucket-here", "there is no bucket 'no-such-bucket-here' there"),
    ],
)
def test_a_store_that_cannot_be_is_said_at_the_start(named, said, s3, monkeypatch):
    monkeypatch.setenv("REFUTABLE_CACHE", named)
    with pytest.raises(BadInput, match=said) as raised:
        open_store()
    assert "\n" not in str(raised.value)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr("fsspec.get_filesystem_class", lambda protocol: (_ for _ in ()).throw(ImportError))
    with pytest.raises(BadInput, match=r"this takes s3fs, .*: pip install 'refutable\[s3\]'"):
        open_store("s3://lab")


def test_credentials_that_are_missing_or_refused_are_said_at_the_start(bucket, s3, monkeypatch, tmp_path):
    from s3_server import DENIED, INTERNAL

    for fault, said in ((DENIED, r"permission denied \(AccessDenied it is\)"), (INTERNAL, "InternalError it is")):
        with s3.faulty(fault), pytest.raises(BadInput, match=f"^{bucket} cannot be listed: {said}$"):
            open_store(bucket)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(BadInput, match="credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"):
        open_store(bucket)


def test_what_stays_on_this_machine_stays_there(tmp_path, monkeypatch):
    monkeypatch.setenv("REFUTABLE_CACHE", "memory://elsewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "refutable").mkdir()
    store = open_store()
    assert cache_folder() == store.folder == tmp_path / "refutable"
    with store.lock("subject"):
        assert [*(tmp_path / "refutable" / "locks").iterdir()]
    monkeypatch.setenv("REFUTABLE_LOCAL_CACHE", str(tmp_path / "scratch"))
    assert cache_folder() == store.folder == tmp_path / "scratch"
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "shared"))
    assert open_store().place == tmp_path / "shared"
    assert cache_folder() == Store(tmp_path / "other").folder == tmp_path / "scratch"


def test_a_password_is_not_shown():
    assert shown("sftp://me:secret@host/x") == "sftp://me:***@host/x"
    assert str(Store("sftp://me:secret@host/x")) == "sftp://me:***@host/x"


def test_a_store_goes_to_another_process(bucket):
    store = Store(bucket)
    store.put(TRACE)
    assert pickle.loads(pickle.dumps(store)).get(TRACE.key) is not None


def test_nothing_of_it_is_imported_before_a_url_is_used():
    code = (
        "import sys; from refutable.traces.store import Store, open_store; from pathlib import Path;"
        " Store(Path('x')).get('k' * 64); Store('s3://lab');"
        " print({'fsspec', 's3fs', 'torch', 'botocore'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
