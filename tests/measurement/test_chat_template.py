"""Prompts in a chat template: the numbers are those of the filled-in text, under an address of their own."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from test_hub import repository
from tiny import VARIANTS, row_of

from refutable.errors import BadInput, NotMeasured
from refutable.evidence.sample_source import SampleSource
from refutable.models.chat_template import chat_template
from refutable.models.subject import Subject
from refutable.options import Options
from refutable.prompts.in_memory import prompts_from
from refutable.session import Session
from refutable.sweep.jobs import Job
from refutable.sweep.work import Order, source_for
from refutable.traces.passes import Pass
from refutable.verdicts.row import VerdictRow

TEMPLATE = "{% for one in messages %}a {{ one.content }} {% endfor %}{% if add_generation_prompt %}b c{% endif %}"
TEXTS = ("ab", "had a bed", "abc a")
FILLED = tuple(f"a {text} b c" for text in TEXTS)


def with_template(folder: Path, template: object) -> Path:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": template}))
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "environ", {**os.environ, "REFUTABLE_CACHE": str(tmp_path / "cache")})
    return repository(tmp_path, "tiny")


def source(folder: Path, texts: tuple[str, ...]) -> tuple[SampleSource, Subject, Pass]:
    prompts = prompts_from(list(texts)).prompts
    subject, spec = Subject("tiny", weights=str(folder)), Pass("forward", prompts.name)
    row = row_of(VARIANTS["llama"], "tiny")
    return source_for(Order(job=Job("tiny", None, ((subject, (spec,)),)), row=row, prompts=(prompts,))), subject, spec


def test_the_numbers_are_those_of_the_filled_in_text(folder: Path) -> None:
    bare_before = source(folder, TEXTS)
    key = bare_before[0].address(*bare_before[1:])
    with_template(folder, TEMPLATE)
    found, subject, spec = source(folder, TEXTS)
    inside = found.trace(replace(subject, chat_template=True), spec)
    other, _, same = source(folder, FILLED)
    filled = other.trace(subject, same)
    columns = [name for name in inside.blocks.column_names if name != "prompt"]
    assert inside.blocks.select(columns).to_pylist() == filled.blocks.select(columns).to_pylist()
    assert inside.meta["tokens"] == "own tokenizer, in its chat template"
    assert inside.key != found.address(subject, spec)
    assert "chat_template" not in found.trace(subject, spec).meta
    with_template(folder, TEMPLATE + "d")
    again, _, _ = source(folder, TEXTS)
    assert len({key, inside.key, again.address(replace(subject, chat_template=True), spec)}) == 3


@pytest.mark.parametrize(
    ("where", "template", "told"),
    [
        ("config", TEMPLATE, TEMPLATE),
        ("config", [{"name": "rag", "template": "no"}, {"name": "default", "template": TEMPLATE}], TEMPLATE),
        ("file", TEMPLATE, TEMPLATE),
        ("config", [{"name": "rag", "template": "no"}], ""),
        ("config", 7, ""),
        ("nowhere", "", ""),
    ],
)
def test_where_a_template_is_found(folder: Path, where: str, template: object, told: str) -> None:
    if where == "config":
        with_template(folder, template)
    if where == "file":
        with_template(folder, "an older one")
        (folder / "chat_template.jinja").write_text(str(template))
    if told:
        assert chat_template(folder, "tiny") == told
    else:
        with pytest.raises(NotMeasured, match="tiny: its tokenizer has no chat template"):
            chat_template(folder, "tiny")


def test_stand_in_tokens_have_none() -> None:
    with pytest.raises(NotMeasured, match="its tokens are stand-ins, and they have no chat template"):
        chat_template(None, "tiny")


def ids(folder: Path, template: str) -> list[list[int]]:
    from refutable.measurement.loading.tokens import load_tokenizer

    return load_tokenizer(folder, 64, template).encode(prompts_from(list(TEXTS)).prompts)


def test_a_date_is_the_same_every_day(folder: Path) -> None:
    dated = "{{ 'abcdefgh'[strftime_now('%d')|int % 8] }} {{ 'abcdefgh'[strftime_now('%Y')|int % 8] }}"
    assert ids(folder, dated) == ids(folder, "c a")  # the 26th, 2024


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no system message') }}",
        "{% for %}",
        "{{ strftime_now('%' ~ 'd') }}",
        "{{ messages[0].content.__class__.mro() }}",
    ],
)
def test_a_template_that_takes_no_message_is_named(folder: Path, template: str) -> None:
    with pytest.raises(NotMeasured, match="its chat template takes no lone message of a user"):
        ids(folder, template)


CLAIM = """\
schema: 1
claims:
  - id: lengthens
    statement: The last block lengthens the stream.
    evidence: measured
    prompts: many-kinds
    test: {statistic: mean, of: last_gain, predicts: "> 0.5"}
    multiverse: {chat_template: [with, without]}
"""


def tried(folder: Path, *, template: bool) -> VerdictRow:
    (folder.parent / "claims.yaml").write_text(CLAIM)
    named = Options(folder.parent / "claims.yaml", models=(str(folder),), device="cpu", chat_template=template)
    session = Session.prepare(named)
    (case,) = (case for case in session.cases if case.id == "lengthens-tiny")
    session.plan_for([case])
    return session.try_case(case)


def test_a_claim_is_tried_with_and_without(folder: Path) -> None:
    lacking = tried(folder, template=True)
    assert (lacking.verdict, lacking.why) == ("NOT_MEASURED", "tiny: its tokenizer has no chat template")
    with_template(folder, TEMPLATE)
    bare, inside = tried(folder, template=False), tried(folder, template=True)
    assert bare.weights["tokens"] == "own tokenizer"
    assert inside.weights["tokens"] == "own tokenizer, in its chat template"
    assert bare.identity != inside.identity  # a baseline holds them apart
    assert bare.estimate is not None
    assert inside.estimate is not None
    assert bare.estimate.value != inside.estimate.value
    for row, name, other in ((bare, "with", inside), (inside, "without", bare)):
        beside = row.variations[f"chat_template {name}"]
        assert beside.estimate is not None
        assert other.estimate is not None
        assert beside.estimate.value == other.estimate.value
    assert {*bare.traces} == {*inside.traces}


def test_a_published_table_has_no_templates(tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(CLAIM)
    with pytest.raises(BadInput, match="--chat-template changes what is measured"):
        Session.prepare(Options(tmp_path / "claims.yaml", measurements=tmp_path / "t.csv", chat_template=True))
