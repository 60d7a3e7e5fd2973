"""What a claim refers to and is not there is refused at its line, with the nearest right name, before anything runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refutable.claims.cases import cases_of
from refutable.claims.file import Places, read_claims
from refutable.claims.references import read_checked
from refutable.errors import BadInput
from refutable.models.registry import load_registry
from refutable.prompts.find import load_prompts
from refutable.verdicts.falsifiability.check_claims import check_feasible

REGISTRY = load_registry()
HEAD = "schema: 1\nclaims:\n  - id: a\n    statement: s\n    evidence: measured\n"
MEAN = "test: {statistic: mean, of: last_gain, predicts: '< 1'}"
LAYER = "test: {statistic: mean, of: layer_gain, layer: NUMBER, predicts: '< 1'}"
CATEGORIES = (
    "test:\n      statistic: difference_of_categories\n      of: last_gain\n      predicts: '> 0'\n"
    "      categories:\n        strange: [Novel, Nonsense]\n        plain: [Factual]"
)


def file_of(folder: Path, *keys: str) -> Path:
    path = folder / "claims.yaml"
    path.write_text(HEAD + "".join(f"    {key}\n" for key in keys), encoding="utf-8")
    return path


def problems_of(folder: Path, *keys: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        list(check_feasible(file_of(folder, *keys)))
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["models: gtpj", MEAN], "claims.yaml:6 claims[0].models: unknown model 'gtpj'; "),
        (["models: [smollm2, gtpj]", MEAN], "claims.yaml:6 claims[0].models[1]: unknown model 'gtpj'; "),
        (["models:", "  - smollm2", "  - gtpj", MEAN], "claims.yaml:8 claims[0].models[1]: unknown model"),
        (["models:", "  names:", "  - gtpj", MEAN], "claims.yaml:8 claims[0].models.names[0]: unknown model"),
        (["models: {except: gtpj}", MEAN], "claims.yaml:6 claims[0].models.except: unknown model 'gtpj'; "),
        (["models: {family: gtpj}", MEAN], "claims.yaml:6 claims[0].models.family: unknown family 'gtpj'; "),
        (
            ["models: gptj", MEAN, "record:", "  gptj: {value: 1}", "  gtpj: {value: 1}"],
            "claims.yaml:10 claims[0].record.gtpj: unknown model 'gtpj'; ",
        ),
        (
            [
                "test:",
                "  {statistic: difference_of_groups, of: last_gain, predicts: '< 0',",
                "  groups: {a: smollm2, b: gtpj}}",
            ],
            "claims.yaml:8 claims[0].test.groups.b: unknown model 'gtpj'; ",
        ),
    ],
)
def test_an_unknown_model_is_named_at_its_line(tmp_path: Path, keys: list[str], expected: str) -> None:
    (problem,) = problems_of(tmp_path, *keys)
    assert problem.startswith(expected)
    assert problem.endswith("Did you mean 'gptj'?")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["prompts: grand-unified-52", MEAN], "claims.yaml:6 claims[0].prompts: unknown prompt set 'grand-unified-52'"),
        (["prompts: none.yaml", MEAN], "claims.yaml:6 claims[0].prompts: none.yaml: no such file"),
        (
            [MEAN, "multiverse: {prompts: [grand-unified-52]}"],
            "claims.yaml:7 claims[0].multiverse.prompts[0]: unknown prompt set 'grand-unified-52'",
        ),
    ],
)
def test_an_unknown_prompt_set_is_named_at_its_line(tmp_path: Path, keys: list[str], expected: str) -> None:
    (problem,) = problems_of(tmp_path, *keys)
    assert problem.startswith(expected)
    assert "no such file" in problem or problem.endswith("Did you mean 'grand-unified-25'?")


def test_a_category_that_the_prompts_lack_is_named_at_its_line(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, CATEGORIES.replace("Factual", "Factaul"))
    place, set_name = "claims.yaml:12 claims[0].test.categories.plain[0]", "'grand-unified-25'"
    assert problem.startswith(f"{place}: prompt set {set_name}: unknown category 'Factaul'")
    assert "known: Cliche, Factual, Nonsense, Novel, Syntactic." in problem
    assert problem.endswith("Did you mean 'Factual'?")
    assert list(check_feasible(file_of(tmp_path, CATEGORIES)))[-1].endswith("no fault found")


def test_a_variation_on_prompts_without_the_categories_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("one\ntwo\n", encoding="utf-8")
    problems = problems_of(tmp_path, CATEGORIES, "multiverse: {prompts: [mine.txt]}")
    assert len(problems) == 3
    assert problems[0].startswith("claims.yaml:13 claims[0].multiverse.prompts[0]: prompt set 'mine': unknown category")


@pytest.mark.parametrize(
    ("models", "number", "told"),
    [
        ("smollm2", 31, "there is no layer 31: smollm2 has 30; name a number up to 30, or `last`"),
        ("[smollm2, gpt2]", 31, "there is no layer 31: the deepest of these 2 models, smollm2, has 30; name a number"),
    ],
)
def test_a_layer_beyond_every_model_is_refused(tmp_path: Path, models: str, number: int, told: str) -> None:
    (problem,) = problems_of(tmp_path, f"models: {models}", LAYER.replace("NUMBER", str(number)))
    assert problem.startswith(f"claims.yaml:7 claims[0].test.layer: {told}")


SKIPPED = "test: {statistic: mean, of: top_token_kept, predicts: '> 0.5', under: CHANGE}"


def changed(folder: Path, change: str) -> Path:
    path = file_of(folder, "models: smollm2", SKIPPED.replace("CHANGE", change))
    path.write_text(path.read_text().replace("evidence: measured", "evidence: intervention"))
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("skip-block, blocks: 31", "blocks: there is no block 31: smollm2 has 30; name a number up to 30, or `last`"),
        ("skip-block, blocks: 16-99", "blocks: there is no block 99"),
        ("skip-block, blocks: [3, 31]", "blocks: there is no block 31"),
        ("swap-blocks, blocks: 30", "blocks: there is no block 31"),
        ("skip-block, blocks: 3, against: {blocks: 99}", "blocks: there is no block 99"),
        (
            "zero-coordinate, coordinate: 576",
            "coordinate: there is no coordinate 576: smollm2 has 576; name a number up",
        ),
    ],
)
def test_a_block_or_coordinate_beyond_every_model_is_refused(tmp_path: Path, change: str, told: str) -> None:
    with pytest.raises(BadInput, match=re.escape(told)):
        list(check_feasible(changed(tmp_path, change)))


@pytest.mark.parametrize(
    "change", ["skip-block, blocks: 30", "swap-blocks, blocks: 29", "zero-coordinate, coordinate: 575"]
)
def test_the_last_block_and_coordinate_are_accepted(tmp_path: Path, change: str) -> None:
    assert list(check_feasible(changed(tmp_path, change)))


@pytest.mark.parametrize(("models", "number"), [("smollm2", 30), ("[smollm2, gpt2]", 30)])
def test_a_layer_that_one_model_has_is_accepted(tmp_path: Path, models: str, number: int) -> None:
    assert list(check_feasible(file_of(tmp_path, f"models: {models}", LAYER.replace("NUMBER", str(number)))))


def test_every_place_is_named_at_once_and_in_the_file_where_it_is(tmp_path: Path) -> None:
    first = file_of(tmp_path, "models: gtpj", "prompts: nowhere", MEAN, "record: {smollm: {value: 1}}").read_text()
    (tmp_path / "part.yaml").write_text(first, encoding="utf-8")
    second = HEAD.replace("id: a", "id: b").replace("schema: 1\n", "schema: 1\ninclude: [part.yaml]\n")
    (tmp_path / "claims.yaml").write_text(f"{second}    models: opt\n    {MEAN}\n", encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        list(check_feasible(tmp_path / "claims.yaml"))
    places = [line.replace(f"{tmp_path}/", "").split(":")[:2] for line in str(caught.value).splitlines()]
    assert places == [
        ["part.yaml", "7 claims[0].prompts"],
        ["part.yaml", "6 claims[0].models"],
        ["part.yaml", "9 claims[0].record.smollm"],
        ["claims.yaml", "7 claims[0].models"],
    ]


def test_given_prompts_without_the_categories_are_told_and_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("one\ntwo\n", encoding="utf-8")
    lines = list(check_feasible(file_of(tmp_path, CATEGORIES), prompts=str(tmp_path / "mine.txt")))
    assert lines[0] == "a: not measured with these 2 prompts: none is of category 'Novel'"
    assert lines[-1].endswith("no fault found")


def test_a_published_table_may_have_categories_of_its_own(tmp_path: Path) -> None:
    loaded = read_claims(file_of(tmp_path, "models: smollm2", CATEGORIES.replace("Factual", "Code")))
    (case,) = cases_of(loaded.claims, REGISTRY, loaded.places, load_prompts, on_table=True)
    assert case.id == "a-smollm2"


def test_a_claim_whose_place_is_not_known_is_called_by_its_id() -> None:
    assert Places("c.yaml").of("a", "models") == "c.yaml claim 'a'"


def test_faults_of_some_claims_do_not_hide_unknown_names_in_others(tmp_path):
    (tmp_path / "claims.yaml").write_text(
        """\
schema: 1
claims:
  - {id: a, statement: s, evidence: mesured, test: {statistic: meen, of: last_gain, predicts: "> 1"}}
  - id: b
    statement: s
    evidence: measured
    models: gptk
    prompts: grand-unified-26
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
    record: {pythia-7b: {value: 1}}
"""
    )
    with pytest.raises(BadInput) as caught:
        read_checked(tmp_path / "claims.yaml", load_registry(), load_prompts)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        f"{lines[0].split(':')[0]}:3 claims[0].evidence",
        f"{lines[0].split(':')[0]}:3 claims[0].test.statistic",
        f"{lines[0].split(':')[0]}:7 claims[1].models",
        f"{lines[0].split(':')[0]}:10 claims[1].record.pythia-7b",
        f"{lines[0].split(':')[0]}:8 claims[1].prompts",
    ]
    assert "Did you mean 'gptj'?" in lines[2]
