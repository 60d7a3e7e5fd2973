"""What a process that a test starts is bound by; each is called in it before all else."""

from __future__ import annotations

import ctypes
import os
import resource
import signal


def heed_interrupts() -> None:
    """End at SIGINT, which a shell's background job, and all below it, would ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def limit_files(size: int) -> None:
    """Let no file grow beyond some bytes, as on a full disk: writing more is an error."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def heed_interrupts_and_limit_files(size: int) -> None:
    """Do both."""
    heed_interrupts()
    limit_files(size)


def heed_permissions() -> None:
    """Take away what lets root write wherever it likes (prctl's PR_CAPBSET_DROP of CAP_DAC_OVERRIDE)."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
