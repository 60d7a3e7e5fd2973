"""What the hub's answers mean: asked again where that may help, and said in one line where it does not."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from refutable._util.progress import task
from refutable.errors import HubFailed, HubUnreachable, WeightsUnavailable

TRIES = 3
PAUSE = 0.5  # seconds before the second try; twice as long before each later one
PATIENCE = 300.0  # seconds that are waited at most where the hub says when to come back
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks the hub on behalf of a model.

    Attributes:
        who: the model's name, for messages.
        repo: its repository.
        again: the command that asks again.
        by_path: the command that reads a copy at hand instead.
        revision: commit or branch that is asked for; None for the default one.
    """

    who: str
    repo: str
    again: str
    by_path: str
    revision: str | None = None

    def __call__(self, what: str, ask: Callable[[], Answer]) -> Answer:
        """Return an answer of the hub; what may pass is asked for again.

        Args:
            what: the file or repository, for messages.
            ask: does the asking.

        Raises:
            WeightsUnavailable: there is none; `HubUnreachable` where nobody answers at all.
        """
        for turn in range(1, TRIES + 1):
            try:
                return ask()
            except Exception as error:
                if not (isinstance(error, OSError | ValueError | EOFError) or _is_transport(error)):
                    raise  # a fault of this program, not of the hub
                reason, may_pass = self._reason(what, error)
                if not may_pass or turn == TRIES:
                    raise reason from None
                pause = max(PAUSE * 2 ** (turn - 1), _told_to_wait(_cause(error)))
            if pause > PATIENCE:
                raise reason
            with task(f"{self.who}: the hub asks to wait {pause:.0f} s") if pause > 2 else nullcontext():
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _reason(self, what: str, error: Exception) -> tuple[WeightsUnavailable, bool]:
        """Return what an error of the client means for the user, and whether it may pass by itself."""
        cause = _cause(error)
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if (refused := self._refused(what, cause, status)) is not None:
            return refused, False
        if status is not None:
            told = f"{self.who}: the hub answered {status} for {what}"
            may_pass = status >= 500 or status == 429
            kind = HubFailed if may_pass else WeightsUnavailable
            return kind(told, f"{self.again} later, or {self.by_path}"), may_pass
        if isinstance(cause, OSError) and cause.errno in FULL:
            reason = f"{self.who}: {what} cannot be written into the hub's cache ({cause.strerror})"
            return WeightsUnavailable(reason, f"make room, or set HF_HOME to another folder, then {self.again}"), False
        if isinstance(cause, UnicodeEncodeError):
            return WeightsUnavailable("the token holds characters that no token has", "`hf auth login`"), False
        if isinstance(cause, ValueError) and not _is_transport(cause):
            return HubFailed(f"{self.who}: what the hub answered for {what} cannot be read", self.again), True
        name = type(cause).__name__
        if name in ("ConnectError", "ConnectTimeout", "ConnectionRefusedError", "ProxyError"):
            reason = f"the hub cannot be reached for {self.repo} ({name})"
            return HubUnreachable(reason, f"{self.again} where it can, or {self.by_path}"), False
        told = f"{self.who}: the hub broke off while it sent {what} ({name})"
        return HubFailed(told, f"{self.again} again"), True

    def _refused(self, what: str, cause: BaseException, status: int | None) -> WeightsUnavailable | None:
        """Return why the hub will not give something, however often it is asked; None where it might."""
        from huggingface_hub import errors

        login = f"`hf auth login`, then {self.again}"
        answered = f" ({status})" if status is not None else ""
        if isinstance(cause, errors.OfflineModeIsEnabled):
            return WeightsUnavailable(f"{self.who} is not in the cache and HF_HUB_OFFLINE is set", self.again)
        if isinstance(cause, errors.GatedRepoError):
            listed = "your token is not on its list" if status == 403 else "no token was given"
            fix = f"accept its licence on its hub page, {login}"
            return WeightsUnavailable(f"{self.repo} is gated, and {listed}{answered}", fix)
        if isinstance(cause, errors.RevisionNotFoundError):
            fix = f"{self.again}, with a branch, tag or commit that its page on the hub lists"
            return WeightsUnavailable(f"the hub has no revision {self.revision!r} of {self.repo}{answered}", fix)
        if isinstance(cause, errors.RepositoryNotFoundError):
            reason = f"the hub has no {self.repo}, or shows it to nobody without a token that may read it{answered}"
            return WeightsUnavailable(reason, f"check the name, then {self.again}, or {self.by_path}")
        if status in (401, 403):
            why = "the token is not valid" if status == 401 else "the token may not read it"
            return WeightsUnavailable(f"{self.who}: the hub answered {status} for {what}: {why}", login)
        return None


def _told_to_wait(cause: BaseException) -> float:
    """Return how many seconds the hub asks to wait before the next request; 0 where it does not say.

    ``Retry-After`` holds seconds, or the date on which to come back.
    """
    headers = getattr(getattr(cause, "response", None), "headers", None) or {}
    told = str(headers.get("Retry-After") or "")
    with suppress(ValueError):
        return max(0.0, float(told))
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    return 0.0


def _cause(error: BaseException) -> BaseException:
    """Return what the client's own error was raised for, where it says nothing itself."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    while isinstance(error, LocalEntryNotFoundError) and not isinstance(error, HfHubHTTPError):
        inner = error.__cause__ or error.__context__
        if inner is None:
            break
        error = inner
    return error


def _is_transport(error: BaseException) -> bool:
    """Whether an HTTP client raised it: huggingface_hub 1 uses httpx, 2 uses httpx2."""
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2")
