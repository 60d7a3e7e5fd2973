from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from twins_made_up import tokens

import refutable
from refutable.twins.design import CELLS, SIZES, Twin, cell_of
from refutable.twins.networks import draw, network_of
from refutable.twins.snapshot import COLUMNS, measure

CLASSES = (
    "base",
    "sequential",
    "one-norm",
    "layernorm",
    "rmsnorm",
    "peri-norm",
    "learned-positions",
    "softmax",
    "gptj",
)
SIZE = dataclasses.replace(SIZES["tiny"], width=64)


def drawn(name: str, depth: int = 2) -> tuple[torch.nn.Module, Twin]:
    twin = Twin(dataclasses.replace(cell_of(name), depth=depth), SIZE, 0)
    network = network_of(twin.cell, twin.size).eval()
    draw(network, twin)
    return network, twin


@pytest.mark.parametrize("name", CLASSES)
def test_a_snapshot_equals_the_engines_own_pass(name: str) -> None:
    network, twin = drawn(name)
    values = measure(network, twin, tokens().prompts)
    trace = refutable.measure(network, None, tokens().prompts)
    at = {column: values[..., i] for i, column in enumerate(COLUMNS)}
    for metric, mine in {
        "last_gain": at["output"][:, -1] / at["input"][:, -1],
        "cos_attention_mlp": at["attention_mlp"] / (at["attention"] * at["mlp"]),
        "attention_entropy": at["entropy"],
    }.items():
        np.testing.assert_allclose(mine, refutable.metric(metric, trace).values, rtol=2e-5, atol=2e-6, err_msg=metric)


@pytest.mark.parametrize("name", sorted({cell.name for cell in CELLS} - {"damped"}))
def test_every_cell_closes_and_its_heads_add_up(name: str) -> None:
    network, twin = drawn(name)
    at = dict(zip(COLUMNS, np.moveaxis(measure(network, twin, tokens().prompts).astype(float), -1, 0), strict=True))
    inner = at["attention_mlp"] + at["input_attention"] + at["input_mlp"]
    squared = at["input"] ** 2 + at["attention"] ** 2 + at["mlp"] ** 2 + 2 * inner
    np.testing.assert_allclose(at["output"] ** 2, squared, rtol=1e-5)
    if name != "peri-norm":  # there a norm comes after the heads are summed
        np.testing.assert_allclose(at["heads"], at["attention"], rtol=1e-4)  # first biases are 0


def test_a_damped_twins_stream_is_scaled_after_every_block() -> None:
    (plain, twin), (damped, other) = drawn("base"), drawn("damped")
    first, second = (measure(*each, tokens().prompts) for each in ((plain, twin), (damped, other)))
    column = COLUMNS.index("output")
    np.testing.assert_allclose(second[:, 0, column], 0.8 * first[:, 0, column], rtol=1e-5)


def test_matrices_of_one_name_begin_with_the_same_numbers_in_every_cell_of_a_seed() -> None:
    (parallel, _), (sequential, _), (double, _) = drawn("base"), drawn("sequential"), drawn("init-double")
    for one, other in zip(parallel.parameters(), sequential.parameters(), strict=True):
        assert torch.equal(one, other)
    scaled = dict(double.named_parameters())
    for name, one in parallel.named_parameters():
        factor = 2 if name.endswith(("attention.dense.weight", "dense_4h_to_h.weight")) else 1
        assert torch.equal(scaled[name], factor * one)
