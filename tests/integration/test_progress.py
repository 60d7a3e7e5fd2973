"""What takes long is told while it does: on standard error, by workers of xdist too, and not at all with `-q -q`."""

from __future__ import annotations

import re

import pytest

from .conftest import Suite

IMPATIENT = "import refutable._util.display as display\ndisplay.SILENCE, display.TICK = 0.2, 0.05\n"
SLOW = "import time\ndef test_slow():\n    print('captured')\n    time.sleep(1)\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [((), r"^trying test_slow: \d s, "), (("-n", "1"), r"^\[gw0\] trying test_slow: \d s, "), (("-q", "-q"), None)],
)
def test_a_test_that_takes_long_is_told(options: tuple[str, ...], told: str | None, suite: Suite) -> None:
    suite.write("conftest.py", IMPATIENT)
    suite.write("test_slow.py", SLOW)
    run = suite.pytest("test_slow.py", *options)
    assert run.status == 0, run.text
    errors = run.text.removeprefix(run.printed)
    assert errors == "" if told is None else re.search(told, errors, flags=re.MULTILINE), errors
    assert "trying" not in run.printed
    assert "captured" not in run.text


def test_workers_of_xdist_that_start_are_told(suite: Suite) -> None:
    suite.write("conftest.py", IMPATIENT)
    suite.write("test_quick.py", "def test_quick():\n    pass\n")
    run = suite.pytest("test_quick.py", "-n", "1")
    assert run.status == 0, run.text
    assert re.search(r"^starting workers: 0 of 1 ready, \d s, ", run.text, flags=re.MULTILINE), run.text
