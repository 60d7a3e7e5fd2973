"""YAML as plain data with lines: what is read, and how each wrong file is refused."""

from __future__ import annotations

import datetime
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from refutable._util.strict_yaml import MAX_BYTES, MAX_DEPTH, parse_yaml, read_yaml
from refutable.errors import BadInput

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time


def problem_of(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        parse_yaml(text, "c.yaml")
    return str(caught.value)


def test_every_key_and_item_knows_its_line():
    source = parse_yaml("a:\n  b:\n    - 1\n    - c: 2\n      d: [3,\n          4]\n", "c.yaml")
    assert source.data == {"a": {"b": [1, {"c": 2, "d": [3, 4]}]}}
    assert source.where(("a",)) == "c.yaml:1"
    assert source.where(("a", "b", 0)) == "c.yaml:3"
    assert source.where(("a", "b", 1, "d")) == "c.yaml:5"
    assert source.where(("a", "b", 1, "d", 1)) == "c.yaml:6"


def test_what_is_not_there_has_the_line_of_what_encloses_it():
    source = parse_yaml("a:\n  b: 1\nc: 2\n", "c.yaml")
    assert source.where(("c", "d", 3)) == "c.yaml:3"
    assert source.where(("zzz",)) == "c.yaml:1"
    assert source.where(()) == "c.yaml:1"


def test_plain_values_are_read_as_yaml_reads_them():
    source = parse_yaml('{a: 1, b: 1.5, c: "1", d: true, e: ~, f: 2024-01-02, 7: x}', "c.yaml")
    assert source.data == {
        **{"a": 1, "b": 1.5, "c": "1", "d": True, "e": None},
        **{"f": datetime.date(2024, 1, 2), "7": "x"},  # keys are always text
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\n\n"])
def test_an_empty_file_is_no_data(text):
    assert parse_yaml(text, "c.yaml").data is None


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    source = read_yaml(tmp_path / "c.yaml", "c.yaml")
    assert source.data == {"a": 1, "b": 2}
    assert source.where(("b",)) == "c.yaml:2"


words = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\n"), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_plain_data_comes_back_as_it_was_written(data):
    class NoAlias(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    source = parse_yaml(yaml.dump(data, Dumper=NoAlias, allow_unicode=True, explicit_start=True), "c.yaml")
    assert source.data == data


@given(st.text(max_size=60) | st.from_regex(r"[\[\]{}:,&*!|>'\"%@`#?\n a-]{0,40}", fullmatch=True))
def test_any_text_is_read_or_refused_with_file_and_line(text):
    try:
        parse_yaml(text, "c.yaml")
        problems = []
    except BadInput as error:
        problems = str(error).splitlines()
    assert all(line.startswith("c.yaml:") for line in problems)


# What is refused


def test_every_repeated_key_is_named_with_both_lines():
    assert problem_of("a: 1\nb: {c: 1, c: 2}\na: 3\n").splitlines() == [
        "c.yaml:2 repeats the key 'c' of line 2; keep one of the two",
        "c.yaml:3 repeats the key 'a' of line 1; keep one of the two",
    ]


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor():
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    assert problem_of(bomb) == (
        "c.yaml:1 uses an anchor or alias (& or *); YAML here is plain data: write the value out"
    )


def test_an_alias_without_an_anchor_is_refused_alike():
    assert "c.yaml:2 uses an anchor or alias" in problem_of("a: 1\nb: *a\n")


@pytest.mark.parametrize(
    "tag",
    [
        *(
            "!!python/object/apply:os.system ['true']",
            "!!python/name:os.system",
            "!custom x",
            "!!str 1",
            "!!binary aGk=",
        ),
        *("!<tag:yaml.org,2002:python/object/new:os.system> [x]", "!!set {a}", "!!timestamp nope", "! x"),
    ],
)
def test_every_tag_is_refused_and_nothing_is_made_of_it(tag):
    assert "c.yaml:2 uses the tag " in problem_of(f"a: 1\nb: {tag}\n")


def test_a_merge_key_merges_nothing():
    assert parse_yaml("<<: {a: 1}\nb: 2\n", "c.yaml").data == {"<<": {"a": 1}, "b": 2}


def test_nesting_is_bounded():
    assert parse_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, "c.yaml").data
    assert f"nests deeper than {MAX_DEPTH} levels" in problem_of("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    started = time.perf_counter()
    for deep in ("[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000):
        problem_of(deep)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1, 2\nb: 3\n", 2, "is not YAML"),
        ("a: 'never closed\n", 2, "unexpected end of stream"),
        ("a: 1\n\tb: 2\n", 2, "is not YAML"),
        ("a: b: c\n", 1, "mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("a: \x00\n", 1, "special characters are not allowed"),
        ("? [a, b]\n: 1\n", 1, "a key that is not a word"),
        ("a: 2024-13-45\n", 1, "'2024-13-45' cannot be read as a value; put it in quotes"),
        ("a: 0x_\n", 1, "'0x_' cannot be read as a value"),
        (f"a: {'9' * 5000}\n", 1, "999...' cannot be read as a value"),  # beyond Python's limit of digits
        (
            f"a: {':'.join(['59'] * 300)}.5\n",
            1,
            "59:...' cannot be read as a value",
        ),  # base 60 beyond a float
    ],
)
def test_what_is_not_yaml_is_refused_at_its_line(text, line, words):
    problem = problem_of(text)
    assert problem.startswith(f"c.yaml:{line} ")
    assert words in problem
    assert len(problem) < 200


@pytest.mark.parametrize("prediction", ["> 1", ">= 1", "| 1"])
def test_an_unquoted_greater_sign_which_yaml_takes_for_a_block_is_told_to_be_quoted(prediction):
    told = f'; put text that begins with > or | in quotes, as predicts: "{prediction}"'
    block = problem_of(f"test:\n  predicts: {prediction}\n")
    flow = problem_of(f"test:\n  {{of: last_gain, predicts: {prediction}, layer: last}}\n")
    for problem in (block, flow):
        assert problem.startswith("c.yaml:2 is not YAML: ")
        assert problem.endswith(told)


def test_brackets_inside_braces_are_told_to_be_quoted():
    problem = problem_of("test: {of: last_gain, predicts: within [0, 1]}\n")
    assert problem.endswith('; put text with brackets in quotes, as predicts: "within [0, 1]"')


# Files that cannot be read


def test_a_missing_file_is_named():
    from pathlib import Path

    with pytest.raises(BadInput, match=r"no-such/c\.yaml: no such file; check the path"):
        read_yaml(Path("no-such/c.yaml"))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(BadInput, match="claims: not a file but a folder"):
        read_yaml(tmp_path, "claims")


def test_a_file_used_as_a_folder_cannot_be_read(tmp_path):
    (tmp_path / "c.yaml").write_text("a: 1")
    with pytest.raises(BadInput, match="cannot be read"):
        read_yaml(tmp_path / "c.yaml" / "d.yaml")


@pytest.mark.parametrize("content", [b"a: caf\xe9\n", b"\xff\xfea\x00:\x00", bytes(range(256))])
def test_what_is_not_utf_8_is_refused_with_the_byte(tmp_path, content):
    (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(BadInput, match=r"c.yaml: not UTF-8 text \(byte \d+\); save it as UTF-8"):
        read_yaml(tmp_path / "c.yaml", "c.yaml")


def test_a_binary_file_that_happens_to_be_utf_8_is_refused(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"PAR1\x00\x01\x02")
    with pytest.raises(BadInput, match=r"c.yaml:1 is not YAML: unacceptable character"):
        read_yaml(tmp_path / "c.yaml", "c.yaml")


def test_five_mebibytes_are_too_large_and_are_not_read(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"#" * 5 * 1024 * 1024)
    started = time.perf_counter()
    with pytest.raises(BadInput, match=f"c.yaml: 5242880 bytes; at most {MAX_BYTES} are read"):
        read_yaml(tmp_path / "c.yaml", "c.yaml")
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(("text", "value"), [("1e-5", 1e-5), ("2E3", 2000.0), ("-1e2", -100.0), ('"1e-5"', "1e-5")])
def test_a_number_without_a_point_is_a_number(text, value):
    found = parse_yaml(f"a: {text}\n", "c.yaml").data["a"]
    assert (found, type(found)) == (value, type(value))
