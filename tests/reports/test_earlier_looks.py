"""Earlier looks: what a reports folder remembers of them, whatever runs came between."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from refutable.reports.earlier_looks import FILE, read_looks, write_looks
from refutable.verdicts.looks import Look, merged

KEY = ("shrinks", "tiny-gpt2", "initialisation", "-")
LOOKS = st.builds(Look, st.integers(1, 9), st.lists(st.text("0af", min_size=1), min_size=1).map(tuple), st.booleans())
HISTORY = st.dictionaries(st.tuples(*[st.text("ab-", min_size=1)] * 4), st.lists(LOOKS, unique=True).map(tuple))


@given(history=HISTORY)
def test_what_is_written_is_read_back(tmp_path_factory, history: dict[tuple[str, ...], tuple[Look, ...]]) -> None:
    folder = tmp_path_factory.mktemp("reports")
    write_looks(folder, history)
    assert read_looks(folder) == history


def test_a_folder_without_reports_and_a_damaged_file_remember_nothing(tmp_path: Path) -> None:
    assert read_looks(tmp_path) == {}
    for text in ("", "[", "[1]", '[{"at": ["a"]}]', '{"a": 1}'):
        (tmp_path / FILE).write_text(text)
        assert read_looks(tmp_path) == {}


@given(HISTORY, HISTORY)
def test_merging_forgets_nothing(one: dict[tuple[str, ...], tuple[Look, ...]], two: dict) -> None:
    both = merged(one, two)
    for history in (one, two):
        assert all(set(looks) <= set(both[key]) for key, looks in history.items())
