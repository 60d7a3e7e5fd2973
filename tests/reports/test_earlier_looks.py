"""Earlier looks: what a reports folder remembers of them, whatever runs came between."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refutable.errors import BadInput
from refutable.reports.earlier_looks import FILE, read_looks, write_looks
from refutable.verdicts.looks import Look, merged

LINKS = st.lists(st.sampled_from(["0", "a", "f"]), min_size=1, max_size=3).map(tuple)
NAMES = st.sampled_from(["", "a", "b 1"])
LOOKS = st.builds(Look, st.integers(1, 9), LINKS, st.booleans(), NAMES, NAMES)
HISTORY = st.dictionaries(st.tuples(NAMES, NAMES), st.lists(LOOKS, max_size=3, unique=True).map(tuple), max_size=3)


@given(history=HISTORY)
@settings(max_examples=20, deadline=None)
def test_what_is_written_is_read_back(tmp_path_factory, history: dict[tuple[str, ...], tuple[Look, ...]]) -> None:
    folder = tmp_path_factory.mktemp("reports")
    write_looks(folder, history)
    assert read_looks(folder) == history


def test_a_folder_without_reports_remembers_nothing_and_a_damaged_file_is_told(tmp_path: Path) -> None:
    assert read_looks(tmp_path) == {}
    no_link = '[{"at": ["a"], "looks": [{"prompts": 1, "links": []}]}]'
    for text in ("", "[", "[1]", '[{"at": ["a"]}]', '{"a": 1}', no_link):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(BadInput, match=r"looks.json: .*; name another --reports, or delete it"):
            read_looks(tmp_path)


@given(HISTORY, HISTORY)
@settings(max_examples=20, deadline=None)
def test_merging_forgets_nothing(one: dict[tuple[str, ...], tuple[Look, ...]], two: dict) -> None:
    both = merged(one, two)
    for history in (one, two):
        assert all(set(looks) <= set(both[key]) for key, looks in history.items())
