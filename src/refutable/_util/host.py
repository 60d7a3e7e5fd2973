"""What the host has left: memory, within the limit of the container that a process runs in, and disk."""

from __future__ import annotations

import platform
import shutil
from contextlib import suppress
from pathlib import Path

NO_LIMIT = 1 << 62
_FILES = (  # limit and statistics, and what the memory that cannot be dropped is called: version 2, then version 1
    ("memory.max", "memory.stat", ("anon", "shmem")),
    ("memory/memory.limit_in_bytes", "memory/memory.stat", ("total_rss", "total_shmem")),
)


def memory_limit(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many bytes of memory the container may hold; `NO_LIMIT` where nobody says."""
    return min((_limit(root / limit) for limit, _, _ in _FILES), default=NO_LIMIT)


def memory_left(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many of them are not taken; pages of files count as free, since they can be dropped."""
    left = NO_LIMIT
    for limit, statistics, names in _FILES:
        held = _limit(root / limit)
        if held < NO_LIMIT:
            with suppress(OSError, ValueError):
                lines = (line.split() for line in (root / statistics).read_text(encoding="ascii").splitlines())
                taken = sum(int(value) for name, value in lines if name in names)
                left = min(left, max(held - taken, 0))
    return left


def free_disk(folder: Path) -> int:
    """Return how many bytes may still be written below a folder, which need not exist yet."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(there).free


def machine(boot: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Return a name of this machine that its containers share and no other machine has, as long as it runs."""
    with suppress(OSError, ValueError):
        return boot.read_text(encoding="ascii").strip().replace("-", "")[:12]
    return "".join(letter for letter in platform.node() if letter.isalnum() or letter in "-_")[:32]


def _limit(file: Path) -> int:
    with suppress(OSError, ValueError):
        return min(int(file.read_text(encoding="ascii")), NO_LIMIT)
    return NO_LIMIT
