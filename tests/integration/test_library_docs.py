"""docs/library.md: its blocks are one notebook, and print what the page shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from places import ROOT

PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")


def test_the_notebook_prints_what_the_page_shows(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL))
    shown = "".join(re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown


def test_the_page_names_every_function() -> None:
    import refutable

    for name in refutable.__all__:
        assert f"`{name}(" in PAGE, name
