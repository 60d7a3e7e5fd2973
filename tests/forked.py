"""Python run as `subprocess` runs it, in a fork of a process that has imported torch, transformers and the engine.

Importing them takes 3 to 10 s of processor time, which each process that a test starts would spend anew. The standard
library's fork server spends it once for each process of pytest: it imports `forked_preload`, runs nothing, and forks.
The fork takes the folder, environment, arguments, `sys.path` and outputs that a new interpreter would have, runs
``-m module`` or ``-c code`` as ``__main__``, and ends with its status. The server ends when nobody can ask it any more,
also when whoever asked was killed.

What a fork cannot show is what happens at import. A run is therefore given to a new interpreter whenever variables that
are read at import differ, and on request (`fresh=True`): tests of what is imported, of entry points, of a user's own
commands. For tests that share other such variables there is a server of their own (`serve_also`). Hashes are random
once a server.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from multiprocessing import forkserver, reduction
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from types import ModuleType
from typing import IO, Any

# Read when a module is imported or a library loaded; and those of them that are read later, or that a fork heeds.
AT_IMPORT = ("HF_", "LANG", "LC_", "MKL_", "OMP_", "OPENBLAS_", "PYTHON", "TORCH", "TRANSFORMERS_", "XDG_")
HEEDED = ("HF_TOKEN", "PYTHONPATH", "PYTHONUNBUFFERED")
PRELOAD = ("forked_preload",)
Before = Callable[[], None]
AtImport = frozenset[tuple[str, str]]  # variables and their values

_also: set[AtImport] = set()
_one_at_a_time = threading.Lock()


def serve_also(env: Mapping[str, str]) -> None:
    """Run what has the same variables as `env`, of those read at import, in forks of a server that has them too.

    The server starts with the first such run and takes seconds and memory as the other does: it is worth it for
    several runs.
    """
    _also.add(_at_import(env))


def start(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: int = PIPE,
    stderr: int = STDOUT,
    before: Before | None = None,
    fresh: bool = False,
) -> Forked | subprocess.Popen[str]:
    """Start a command in a fork where one will do, else in a new interpreter.

    Args:
        command: the interpreter, ``-m`` or ``-c``, and what follows.
        cwd: the folder to run in.
        env: all of its environment.
        stdout: `PIPE` or `DEVNULL`.
        stderr: one of these, or `STDOUT`.
        before: called in the new process before all else; a function of a module, or a `partial` of one.
        fresh: whether to start a new interpreter in any case.
    """
    if not fresh and command[0] == sys.executable and command[1] in ("-m", "-c") and _as_here(env):
        return Forked(command, cwd, env, stdout, stderr, before)
    return subprocess.Popen(
        command, cwd=cwd, env=env, stdout=stdout, stderr=stderr, text=True, errors="replace", preexec_fn=before
    )


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    before: Before | None = None,
    fresh: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as `start` does, and return what it printed on either stream.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was killed.
    """
    child = start(command, cwd=cwd, env=env, stdout=PIPE, stderr=PIPE, before=before, fresh=fresh)
    try:
        out, err = child.communicate(timeout=timeout)
    except BaseException:
        child.kill()
        for pipe in filter(None, (child.stdout, child.stderr)):
            pipe.close()
        child.wait()
        raise
    return subprocess.CompletedProcess(command, child.wait(), out, err)


class Forked:
    """A fork that runs a command, with the part of `subprocess.Popen` that tests use."""

    stdin: IO[str] | None = None
    stdout: IO[str] | None = None
    stderr: IO[str] | None = None

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        stdout: int | None,
        stderr: int | None,
        before: Before | None = None,
        stdin: int = DEVNULL,
    ) -> None:
        self.args = command
        given = os.open(os.devnull, os.O_RDONLY)
        if stdin == PIPE:
            os.close(given)
            given, ours = os.pipe()
            self.stdin = open(ours, "w")  # noqa: PTH123, SIM115
        out, self.stdout = _output(stdout, 1)
        err, self.stderr = (os.dup(out), None) if stderr == STDOUT else _output(stderr, 2)
        known = _at_import(env)
        server = _serve(known if known in _also else None)
        descriptors = [_Descriptor(each) for each in (given, out, err)]
        told = (list(command), str(cwd), dict(env), _path(), descriptors, before)
        self._process = multiprocessing.get_context("forkserver").Process(target=_become, args=told)
        try:
            with _from(server):
                self._process.start()
        finally:
            for each in (given, out, err):
                os.close(each)
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ended, and the server has not said so yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, *, timeout: float | None = None) -> tuple[str, str]:
        """Return what it goes on to print, when all that could print has ended.

        Raises:
            subprocess.TimeoutExpired: that took longer than `timeout` seconds.
        """
        with ExitStack() as pipes, ThreadPoolExecutor(2) as pool:
            opened = [pipe and pipes.enter_context(pipe) for pipe in (self.stdout, self.stderr)]
            texts = [pool.submit(pipe.read if pipe else str) for pipe in opened]
            if wait(texts, timeout).not_done:
                self.kill()  # else what reads would not end
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(timeout)
        return texts[0].result(), texts[1].result()


def _output(asked: int | None, inherited: int) -> tuple[int, IO[str] | None]:
    """Return the end that the fork writes to, and of a pipe the one to read from."""
    if asked is None:
        return os.dup(inherited), None
    if asked == DEVNULL:
        return os.open(os.devnull, os.O_WRONLY), None
    assert asked == PIPE, "no other output is asked for"
    read, write = os.pipe()
    return write, open(read, errors="replace")  # noqa: PTH123


class _Descriptor:
    """A file descriptor that is handed over to the fork when the arguments are."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self.number),)


def _received(handed: Any) -> int:
    return handed.detach()


def _as_here(env: Mapping[str, str]) -> bool:
    """Whether an environment has what a server's had of what is read at import."""
    return _at_import(env) in {_at_import(os.environ), *_also}


def _at_import(env: Mapping[str, str]) -> AtImport:
    return frozenset((name, text) for name, text in env.items() if _is_at_import(name))


def _is_at_import(name: str) -> bool:
    return name.startswith(AT_IMPORT) and name not in HEEDED


@cache
def _path() -> tuple[str, ...]:
    """Return `sys.path` of a new interpreter without PYTHONPATH, the first place apart."""
    env = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    code = "import sys; print(*sys.path[1:], sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return tuple(done.stdout.splitlines())


@cache
def _serve(known: AtImport | None) -> forkserver.ForkServer:
    """Start a server, which finds what it imports beside this file, and return it when it forks.

    Args:
        known: the variables that it shall have of those read at import; None for those here.
    """
    server = forkserver._forkserver if known is None else forkserver.ForkServer()
    server.set_forkserver_preload([*PRELOAD])
    before = dict(os.environ)
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), before.get("PYTHONPATH"))))
    try:
        if known is not None:
            for name in filter(_is_at_import, before):
                del os.environ[name]
            os.environ.update(known)
        os.environ["PYTHONPATH"] = path
        first = multiprocessing.get_context("forkserver").Process(target=int)
        with _from(server):
            first.start()
        first.join()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return server


@contextmanager
def _from(server: forkserver.ForkServer) -> Iterator[None]:
    """Let a process that is started meanwhile be a fork of this server."""
    with _one_at_a_time:
        before = forkserver.connect_to_new_process
        forkserver.connect_to_new_process = server.connect_to_new_process
        try:
            yield
        finally:
            forkserver.connect_to_new_process = before


def _become(
    command: list[str],
    cwd: str,
    env: dict[str, str],
    path: tuple[str, ...],
    descriptors: list[int],
    before: Before | None,
) -> None:
    """Be the interpreter that runs a command; ends the process."""
    for number, each in enumerate(descriptors):
        os.dup2(each, number)
        os.close(each)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    kind, what, *rest = [word for word in command[1:2] if word != "-u"] + command[2:]
    unbuffered = "-u" in command[1:2] or bool(env.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(line_buffering=False, write_through=unbuffered)  # type: ignore[union-attr]
    given = [place for place in env.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:] = [cwd if kind == "-m" else "", *given, *path]
    sys.path_importer_cache.clear()
    sys.orig_argv[:] = command
    sys.argv[:] = [kind, *rest]
    main = sys.modules["__main__"] = ModuleType("__main__")
    _fork_workers(path)
    sys.modules.pop("__mp_main__", None)
    if before is not None:
        before()
    os._exit(_status(lambda: _run_main(main, kind, what)))


def _fork_workers(path: tuple[str, ...]) -> None:
    """Let xdist's workers be forks of the same server; it starts them through execnet."""
    from execnet import gateway_io

    class ForkedIO(gateway_io.Popen2IOMaster):
        def __init__(self, args: list[str], execmodel: Any) -> None:
            self.popen = Forked(args, Path.cwd(), dict(os.environ), PIPE, None, stdin=PIPE)
            gateway_io.Popen2IO.__init__(self, self.popen.stdin, self.popen.stdout, execmodel)

    global _path, _serve
    _path, _serve = (lambda: path), (lambda _: forkserver._forkserver)
    forkserver._forkserver.ensure_running = lambda: None  # it runs: this process is its fork
    gateway_io.Popen2IOMaster = ForkedIO


def _run_main(main: ModuleType, kind: str, what: str) -> None:
    if kind == "-m":
        runpy._run_module_as_main(what)  # type: ignore[attr-defined]
    else:
        exec(compile(what, "<string>", "exec"), main.__dict__)


def _status(run: Callable[[], None]) -> int:
    """Run to the end, as an interpreter does: its threads and exit handlers too; return the exit status."""
    status = 0
    try:
        run()
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
        status = 0 if end.code is None else end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        status = 1
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        status = 120  # as the interpreter says of an output that cannot be written
    return status & 0xFF
