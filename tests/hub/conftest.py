"""What the runs of pytest that talk to a stand-in hub share, so that forks of one server can be them (see `forked`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_in import Origins


@pytest.fixture(scope="session")
def origins() -> Iterator[Origins]:
    """Return the ports of the stand-in, which the runs are told with HF_ENDPOINT."""
    opened = Origins()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def hub_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for HF_HOME; whoever uses it empties it first."""
    return tmp_path_factory.mktemp("hub") / "home"
