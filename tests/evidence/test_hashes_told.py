"""Which hashes a verdict carries: of whatever the model's name alone does not say."""

from __future__ import annotations

from typing import Any

import pytest

from refutable.evidence.weights_summary import _of_metas

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
META = {"weights": A, "tokenizer": B, "config": C, "weights_detail": "d", "revision": None}


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"weights_kind": "local", "config_from": "config.json"}, {"weights", "tokenizer", "config"}),
        ({"weights_kind": "quantised (gptq, 4 bit)", "config_from": "config.json"}, {"weights", "tokenizer", "config"}),
        ({"weights_kind": "with adapter", "config_from": "config.json"}, {"weights", "tokenizer", "config"}),
        ({"weights_kind": "local", "config_from": "registry", "tokenizer": "stand-in"}, {"weights"}),
        ({"weights_kind": "hub, unverified", "config_from": "config.json", "revision": "1" * 40}, {"weights"}),
        ({"weights_kind": "dequantised", "config_from": "registry", "tokenizer": f"gguf:{A}"}, {"weights"}),
        ({"weights_kind": "pretrained", "config_from": "config.json"}, {"tokenizer"}),
        ({"weights_kind": "pretrained", "config_from": "config.json", "revision": "1" * 40}, set()),
        ({"weights_kind": "initialisation", "config_from": "registry"}, set()),
        ({"weights_kind": "initialisation", "config_from": "its own config.json"}, {"tokenizer", "config"}),
    ],
)
def test_a_verdict_carries_the_hashes_that_its_models_name_leaves_open(meta: dict[str, Any], told: set[str]) -> None:
    found = {name: text for name, text in _of_metas([{**META, **meta}]).items() if name.endswith("_hash")}
    assert {name.removesuffix("_hash") for name in found} == told
    assert all(text in (A[:12], B[:12], C[:12]) for text in found.values())


def test_those_of_several_models_stand_beside_each_other() -> None:
    metas = [{**META, "weights": each, "weights_kind": "local", "config_from": "registry"} for each in (A, C, A)]
    assert _of_metas(metas)["weights_hash"] == f"{A[:12]}, {C[:12]}"
