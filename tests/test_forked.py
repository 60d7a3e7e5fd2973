"""A run in a fork shows what a new interpreter shows: outputs, status, reports; and leaves neither state nor server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import partial
from pathlib import Path

import forked
import pytest
from bounds import limit_files

TOLD = """\
import json, os, sys
told = [sys.argv, sys.path, sys.orig_argv, os.getcwd(), dict(sorted(os.environ.items())), __name__, sys.stdin.read()]
print(json.dumps(told), "\\u00e9")
print("beside", file=sys.stderr)
"""
TESTS = """\
import logging, os, sys, threading, warnings
import pytest
def test_passes(tmp_path): print("to be seen with -rA")
def test_fails(): assert {"a": 1, "b": [1, 2]} == {"a": 1, "b": [1, 3]}
def test_warns(): warnings.warn("of something", UserWarning)
def test_logs(caplog): logging.getLogger("any").warning("once"); assert caplog.messages == ["once"]
def test_thread(): thread = threading.Thread(target=print, args=("in it",)); thread.start(); thread.join()
def test_capture(capfd): os.system("echo below"); assert capfd.readouterr().out == "below\\n"
def test_skips(): pytest.skip("for a reason")
@pytest.fixture
def broken(): raise RuntimeError("of the fixture")
def test_error(broken): pass
"""


def both(
    folder: Path, *arguments: str, before: forked.Before | None = None, **environment: str
) -> list[subprocess.CompletedProcess[str]]:
    """Run the same in a new interpreter and in a fork."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")} | environment
    ask = partial(forked.run, [sys.executable, *arguments], cwd=folder, env=env, timeout=60, before=before)
    return [ask(fresh=True), ask()]


@pytest.mark.parametrize(
    "code",
    [
        TOLD,
        "import sys; print('out', flush=True); sys.exit(3)",
        "import sys; sys.exit('in words')",
        "def f():\n    raise ValueError('here')\nf()",
        "import os, signal; print('lost'); os.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(20)",
        "import atexit; atexit.register(print, 'at exit'); print('before')",
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.3), print('later'))).start()",
        "import os; os._exit(7)",
        "import warnings; warnings.warn('told')",
        "open('written', 'w').write('x' * 100_000)",
        "print('x' * 100_000)",
        "import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'print(1)']).returncode)",
    ],
)
def test_code_does_what_it_does_in_a_new_interpreter(code: str, tmp_path: Path) -> None:
    new, fork = both(tmp_path, "-c", code, "an", "argument", PYTHONPATH=f"{tmp_path}/a:{tmp_path}/b", MINE="1")
    assert (fork.returncode, fork.stdout, fork.stderr) == (new.returncode, new.stdout, new.stderr)


def test_a_bound_of_the_process_is_one_of_the_fork(tmp_path: Path) -> None:
    new, fork = both(tmp_path, "-c", "open('f', 'w').write('x' * 100_000)", before=partial(limit_files, 1000))
    assert (fork.returncode, fork.stderr) == (new.returncode, new.stderr)
    assert "File too large" in fork.stderr
    assert (tmp_path / "f").stat().st_size == 1000


@pytest.mark.parametrize("options", [(), ("-rA", "-W", "error"), ("-n", "2")])
def test_a_run_of_pytest_is_the_same(options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\njunit_family = xunit2\n")
    told, reports = [], []
    for name in ("new", "fork"):
        asked = ("-m", "pytest", "-p", "no:cacheprovider", "--junitxml", "junit.xml", *options)
        told.append(both(tmp_path, *asked)[name == "fork"])
        cases = ET.parse(tmp_path / "junit.xml").iter("testcase")
        reports.append(sorted((case.get("name"), [part.tag for part in case]) for case in cases))
    new, fork = ([timeless(line) for line in done.stdout.splitlines()] for done in told)
    if "-n" in options:  # workers come up, and end, in any order: so do the lines and how many tests each line has
        new, fork = (sorted(filter(None, lines)) for lines in (new, fork))
    assert fork == new
    assert [done.returncode for done in told] == [1, 1]
    assert reports[0] == reports[1]
    assert len(reports[0]) == 8


def timeless(line: str) -> str:
    return re.sub(r"=+|\d+\.\d\ds|0x[0-9a-f]+|gw\d|pytest-\d+|^[.FEsx]* *(\[ *\d+%\])?$", "", line)


def test_nothing_of_a_run_is_left_for_the_next(tmp_path: Path) -> None:
    spoil = "import os, sys, json; os.environ['LEFT'] = '1'; json.left = 1; os.chdir('/'); sys.path.append('left')"
    look = "import os, sys, json; print('LEFT' in os.environ, hasattr(json, 'left'), os.getcwd(), 'left' in sys.path)"
    both(tmp_path, "-c", spoil)
    assert both(tmp_path, "-c", look)[1].stdout == f"False False {tmp_path} False\n"
    assert "LEFT" not in os.environ


def test_a_fork_has_imported_what_is_heavy_and_a_new_interpreter_has_not(tmp_path: Path) -> None:
    look = "import sys; print([name in sys.modules for name in ('torch', 'transformers.modeling_utils', 'refutable')])"
    new, fork = both(tmp_path, "-c", look)
    assert (new.stdout, fork.stdout) == ("[False, False, False]\n", "[True, True, True]\n")
    threads = "import threading, os; print(threading.active_count(), len(os.listdir('/proc/self/task')))"
    assert both(tmp_path, "-c", threads)[1].stdout == "1 1\n"
    assert both(tmp_path, "-c", look, HF_HOME=str(tmp_path))[1].stdout == new.stdout, "it is read at import"


def test_what_takes_too_long_is_killed(tmp_path: Path) -> None:
    code = "import os, time; print(os.getpid(), file=open('pid', 'w'), flush=True); time.sleep(60)"
    for fresh in (False, True):
        with pytest.raises(subprocess.TimeoutExpired):
            forked.run([sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ), timeout=1.5, fresh=fresh)
        assert gone(int((tmp_path / "pid").read_text() or 0))


@pytest.mark.parametrize("how", [signal.SIGKILL, None], ids=["killed", "ended"])
def test_the_server_ends_with_whoever_asked(how: signal.Signals | None, tmp_path: Path) -> None:
    code = """
import json, os, sys, time
from multiprocessing import forkserver
import forked
from pathlib import Path
forked.PRELOAD = ()  # it takes seconds, and this is about its end
done = forked.run([sys.executable, "-c", "print(1)"], cwd=Path("."), env=dict(os.environ), timeout=60)
print(json.dumps([done.stdout, forkserver._forkserver._forkserver_pid]), flush=True)
sys.stdin.read()
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    asker = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert asker.stdout is not None
    printed, server = json.loads(asker.stdout.readline())
    assert printed == "1\n"
    assert not gone(server, seconds=0)
    if how:
        asker.send_signal(how)
    asker.communicate(timeout=30)
    assert gone(server)


def gone(pid: int, seconds: float = 15) -> bool:
    """Whether a process has ended, or does so soon."""

    def runs() -> bool:
        try:
            return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False

    return not within(runs, seconds)


def within(runs: Callable[[], bool], seconds: float) -> bool:
    """Whether something is still so after some seconds."""
    end = time.monotonic() + seconds
    while (still := runs()) and time.monotonic() < end:
        time.sleep(0.05)
    return still
