"""Claims in several files: one order, one set of ids, messages that name the right file, nothing from outside."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from refutable._util.strict_yaml import parse_yaml
from refutable.claims import claims_hash
from refutable.claims.file import claims_from, load_claims
from refutable.claims.schema import json_schema
from refutable.errors import BadInput

settings.load_profile("ci")


def claim(name: str, **keys: str) -> str:
    more = "".join(f", {key}: {value}" for key, value in keys.items())
    return f"  - {{id: {name}, statement: s, evidence: none, reason: r{more}}}\n"


def file_of(*names: str, include: tuple[str, ...] = ()) -> str:
    listed = f"include: [{', '.join(include)}]\n" if include else ""
    return "schema: 1\n" + listed + ("claims:\n" + "".join(map(claim, names)) if names else "")


def write(folder: Path, **files: str) -> Path:
    """Write files; a name's `__` stands for a folder. Return the first."""
    paths = [folder / f"{name.replace('__', '/')}.yaml" for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return paths[0]


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        load_claims(path)
    return str(caught.value)


def test_included_claims_come_first_in_the_order_of_the_list_and_then_the_files_own(tmp_path):
    main = write(
        tmp_path,
        main=file_of("z", include=("b.yaml", "deep/a.yaml")),
        b=file_of("y"),
        deep__a=file_of("x", include=("c.yaml",)),  # relative to the file that names it
        deep__c=file_of("w"),
    )
    assert [one.id for one in load_claims(main)] == ["y", "w", "x", "z"]


def test_a_file_that_only_includes_needs_no_claims_of_its_own(tmp_path):
    assert [one.id for one in load_claims(write(tmp_path, main=file_of(include=("a.yaml",)), a=file_of("a")))] == ["a"]


@settings(max_examples=30)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True), st.data())
def test_however_the_claims_are_split_they_are_the_same_claims(tmp_path_factory, names, data):
    folder = tmp_path_factory.mktemp("split")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(names) - 1)))) if len(names) > 1 else []
    parts = [names[i:j] for i, j in zip([0, *cuts], [*cuts, len(names)], strict=True)]
    files = {f"part{i}": file_of(*part) for i, part in enumerate(parts)}
    whole = load_claims(write(folder, whole=file_of(*names)))
    split = load_claims(write(folder, main=file_of(include=tuple(f"{name}.yaml" for name in files)), **files))
    assert split == whole
    assert claims_hash(split) == claims_hash(whole)


def test_an_id_of_two_files_is_refused_with_both_places(tmp_path):
    main = write(tmp_path, main=file_of("a", include=("b.yaml",)), b=file_of("x", "a"))
    said = refusal(main)
    assert said.startswith(f"{main}:4 claims[0].id: 'a' is already the id at {tmp_path / 'b.yaml'}:4")


def test_a_reading_may_be_of_a_claim_of_another_file_also_a_later_one(tmp_path):
    early = "schema: 1\nclaims:\n" + claim("a", reading_of="z")
    assert len(load_claims(write(tmp_path, main=file_of("z", include=("b.yaml",)), b=early))) == 2
    said = refusal(write(tmp_path, main=file_of("zz", include=("b.yaml",))))
    assert f"{tmp_path / 'b.yaml'}:3 claims[0].reading_of: unknown claim 'z'" in said
    assert "Did you mean 'zz'?" in said


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (("absent.yaml",), "main.yaml:2 include[0]: no file absent.yaml beside main.yaml."),
        (("othr.yaml",), "no file othr.yaml beside main.yaml. Did you mean 'other.yaml'?"),
        (("other.yaml", "other.yaml"), "main.yaml:2 include[1]: "),
        (("other.yaml", "deep/../other.yaml"), "include[1]: 'deep/../other.yaml' does not stay in this folder"),
        (("../outside.yaml",), "main.yaml:2 include[0]: '../outside.yaml' does not stay in this folder; write a rel"),
        (("/etc/passwd",), "main.yaml:2 include[0]: '/etc/passwd' does not stay in this folder"),
        (("link.yaml",), "main.yaml:2 include[0]: 'link.yaml' is a link that leads out of this folder"),
        (("main.yaml",), "main.yaml:2 include[0]: 'main.yaml' includes itself"),
        (("circle.yaml",), "circle.yaml:2 include[0]: 'main.yaml' includes itself, through this file"),
        (("5",), "main.yaml:2 include[0]: must be the path of a YAML file (got 5)"),
        (("deep",), "no file deep beside main.yaml"),
    ],
)
def test_an_include_that_leads_nowhere_or_too_far_is_refused(tmp_path, include, expected):
    folder = tmp_path / "suite"
    write(tmp_path, outside=file_of("o"))
    main = write(
        folder,
        main=file_of(include=include),
        other=file_of("x"),
        circle=file_of("c", include=("main.yaml",)),
        deep__x=file_of("d"),
    )
    (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    assert expected in refusal(main)


@pytest.mark.parametrize("value", ["[]", "other.yaml", "{a: b}", "3"])
def test_an_include_that_is_no_list_is_refused(value):
    text = f"schema: 1\ninclude: {value}\nclaims:\n" + claim("a")
    with pytest.raises(BadInput, match=r"c\.yaml:2 include: must be a list of at least one path"):
        claims_from(parse_yaml(text, "c.yaml"))
    assert [*jsonschema.Draft202012Validator(json_schema()).iter_errors(yaml.safe_load(text))]


def test_every_fault_of_every_file_is_named_at_once(tmp_path):
    main = write(tmp_path, main=file_of("Z", include=("b.yaml",)), b="schema: 2\nclaims:\n" + claim("B"))
    said = refusal(main).splitlines()
    assert [line.partition(" ")[0].rpartition("/")[2] for line in said] == ["b.yaml:1", "b.yaml:3", "main.yaml:4"]


def test_a_proof_is_looked_for_beside_the_first_file(tmp_path):
    theorem = (
        "schema: 1\nclaims:\n  - {id: t, statement: s, evidence: theorem, proof: proofs/t.md,"
        " test: {property: triangle-inequality}}\n"
    )
    main = write(tmp_path, main=file_of(include=("deep/a.yaml",)), deep__a=theorem)
    assert f"{tmp_path / 'deep/a.yaml'}:3 claims[0].proof: no file proofs/t.md beside main.yaml" in refusal(main)
    (tmp_path / "proofs").mkdir()
    (tmp_path / "proofs" / "t.md").write_text("It is.")
    assert load_claims(main)[0].proof_file == "proofs/t.md"


@pytest.mark.parametrize("text", [file_of("a"), file_of(include=("a.yaml",)), file_of("b", include=("a.yaml",))])
def test_the_schema_for_editors_accepts_each_form(text):
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(text))


def test_the_schema_for_editors_refuses_a_file_of_nothing():
    assert [*jsonschema.Draft202012Validator(json_schema()).iter_errors({"schema": 1})]


def test_a_files_claims_take_its_collection_and_those_it_includes_too(tmp_path):
    main = write(
        tmp_path,
        main="collection: ours\n" + file_of("z", include=("a.yaml", "b.yaml")),
        a=file_of("y"),
        b="collection: theirs\n" + file_of("x", include=("c.yaml",)),
        c="schema: 1\nclaims:\n" + claim("w") + claim("v", collection="nobody's"),
    )
    claims = {one.id: one for one in load_claims(main)}
    assert {name: one.collection for name, one in claims.items()} == {
        "y": "ours",
        "w": "theirs",
        "v": "nobody's",
        "x": "theirs",
        "z": "ours",
    }
    (alone,) = claims_from(parse_yaml(file_of("w"), "f.yaml"))
    assert (alone.collection, alone.hash) == (None, claims["w"].hash)


@pytest.mark.parametrize("given", ["[a]", "''", "3", "~"])
def test_a_collection_is_a_name(tmp_path, given):
    told = refusal(write(tmp_path, main=f"collection: {given}\n" + file_of("z", include=("a.yaml",)), a=file_of("y")))
    assert "main.yaml:1 collection: must be the name of what its claims belong to" in told
