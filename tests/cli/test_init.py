"""A suite of one's own, started: its files are right, also for an editor."""

from __future__ import annotations

import json
import re

import jsonschema
import yaml
from places import ROOT

from refutable.claims.file import load_claims


def test_the_claims_file_names_the_schema_beside_it_and_agrees_with_it(called, tmp_path):
    told = called("init", "mine")
    assert told.exit_code == 0, told.output
    folder = tmp_path / "here" / "mine"
    text = (folder / "claims.yaml").read_text()
    (named,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", text.splitlines()[0])
    schema = json.loads((folder / named).read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(text))
    assert "gptj" in {each.get("const") for each in schema["$defs"]["ModelName"]["anyOf"]}
    assert [claim.id for claim in load_claims(folder / "claims.yaml")] == ["the-last-block-expands"]


def test_nothing_is_written_where_a_file_is_there_already(called, tmp_path):
    (tmp_path / "here" / "claims.schema.json").write_text("{}")
    told = called("init")
    assert told.exit_code == 4
    assert "claims.schema.json already there" in told.output
    assert [file.name for file in (tmp_path / "here").iterdir()] == ["claims.schema.json"]


def test_a_suite_may_start_with_the_fields_claims(called, tmp_path):
    told = called("init", "mine", "--from", "field")
    assert told.exit_code == 0, told.output
    folder = tmp_path / "here" / "mine"
    copied = load_claims(folder / "claims.yaml")
    own = load_claims(ROOT / "claims" / "field" / "field.yaml")
    assert copied == own
    assert len({claim.source.document for claim in copied}) >= 20
    for file in (folder / "claims" / "field").iterdir():
        (named,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", file.read_text().splitlines()[0])
        assert (file.parent / named).resolve() == (folder / "claims.schema.json").resolve()
    checked = called("check", "mine/claims.yaml")
    assert checked.exit_code == 0, checked.output
    assert f"{len(own)} claims" in checked.output


def test_only_packaged_claims_can_be_copied(called, tmp_path):
    told = called("init", "mine", "--from", "feild")
    assert told.exit_code == 4
    assert "known: field. Did you mean 'field'?" in told.output
    assert not (tmp_path / "here" / "mine").exists()
