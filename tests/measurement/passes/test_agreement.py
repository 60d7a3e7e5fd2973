"""The agreement pass, and blocks skipped and swapped, against models that are built so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import FIVE, seen_by_hand
from tiny import VARIANTS, prompt_set, tiny_model

from refutable.errors import BadInput, NoSuchTap, NotMeasured
from refutable.measurement.instrument.interventions import chosen_blocks, intervening
from refutable.measurement.instrument.taps import hidden_states
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.agreement import run_agreement
from refutable.metrics import evaluate
from refutable.traces.passes import Pass, pass_of

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "agreement"}
PROMPTS = prompt_set((5, 2, 12))
TOKENS = torch.randint(64, (2, 9), generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def logits(model: LoadedModel, change: Any = "none", blocks: Any = "all", spare: Any = "none") -> torch.Tensor:
    with intervening(model, change, blocks, spare):
        return model.network(TOKENS, use_cache=False).logits


def rebuilt(name: str, order: list[int]) -> LoadedModel:
    """Return the tiny model with its blocks in another order, or without some of them."""
    model = tiny_model(VARIANTS[name])
    path, _, leaf = model.family.blocks.rpartition(".")
    blocks = model.blocks()
    setattr(model.network.get_submodule(path), leaf, torch.nn.ModuleList([blocks[at] for at in order]))
    for key in ("num_hidden_layers", "n_layer"):
        if hasattr(model.config, key):
            setattr(model.config, key, len(order))
    return model


@pytest.mark.parametrize("name", FIVE)
def test_a_skipped_block_is_not_there_and_swapped_ones_stand_the_other_way_round(name: str) -> None:
    model = tiny_model(VARIANTS[name])
    as_it_is = logits(model)
    for number in (1, 2, 3):
        without = rebuilt(name, [at for at in range(3) if at != number - 1])
        torch.testing.assert_close(logits(model, "skip-block", number), logits(without), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits(model, "swap-blocks", 1), logits(rebuilt(name, [1, 0, 2])), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits(model, "swap-blocks", "middle"), logits(rebuilt(name, [0, 2, 1])))
    assert (logits(model, "skip-block", 2) - as_it_is).abs().max() > 1e-3
    assert torch.equal(logits(model), as_it_is), "blocks were left elsewhere"


@pytest.mark.parametrize("name", FIVE)
@torch.inference_mode()
def test_a_coordinate_that_is_zeroed_is_zero_where_the_next_block_reads_it(model_of: ModelOf, name: str) -> None:
    model, seen = model_of(name), []
    second: Any = model.blocks()[1]
    with intervening(model, "zero-coordinate", 1, "none", 7):
        handle = second.register_forward_pre_hook(lambda m, a, k: seen.append(hidden_states(a, k)), with_kwargs=True)
        model.network(TOKENS, use_cache=False)
    handle.remove()
    handle = second.register_forward_pre_hook(lambda m, a, k: seen.append(hidden_states(a, k)), with_kwargs=True)
    model.network(TOKENS, use_cache=False)
    handle.remove()
    zeroed, plain = seen
    assert (zeroed[..., 7] == 0).all()
    assert (plain[..., 7] != 0).any()
    others = [at for at in range(32) if at != 7]
    assert torch.equal(zeroed[..., others], plain[..., others])
    with intervening(model, "zero-coordinate", 1, "first", 7):
        handle = second.register_forward_pre_hook(lambda m, a, k: seen.append(hidden_states(a, k)), with_kwargs=True)
        model.network(TOKENS, use_cache=False)
    handle.remove()
    assert torch.equal(seen[2][:, 0], plain[:, 0])
    assert torch.equal(seen[2][:, 1:], zeroed[:, 1:])
    no_such = pytest.raises(NoSuchTap, match="has 32 coordinates, from 0; there is no coordinate 32")
    with no_such, intervening(model, "zero-coordinate", 1, "none", 32):
        pass


@pytest.mark.parametrize("name", FIVE)
def test_what_is_kept_is_what_two_plain_runs_have_in_common(model_of: ModelOf, name: str) -> None:
    model, without = model_of(name), rebuilt(name, [0, 2])
    trace = run_agreement(model, PROMPTS, "key", ABOUT, Pass("agreement", "tiny", "skip-block", "middle"))
    for prompt, ids in enumerate(model.tokenizer.encode(PROMPTS)):
        p, q = (seen_by_hand(one, ids).log_p[1:] for one in (model, without))
        kept = np.mean(p.argmax(axis=-1) == q.argmax(axis=-1))
        assert evaluate("top_token_kept", trace).values[prompt] == pytest.approx(kept)
        divergence = (np.exp(p) * (p - q)).sum(axis=-1).mean()
        assert evaluate("divergence_under", trace).values[prompt] == pytest.approx(divergence, rel=1e-5, abs=1e-5)


def test_a_model_agrees_with_itself_and_its_first_token_is_spared_on_demand(model_of: ModelOf) -> None:
    trace = run_agreement(model_of("llama"), PROMPTS, "key", ABOUT, Pass("agreement", "tiny"))
    assert (evaluate("top_token_kept", trace).values == 1).all()
    np.testing.assert_allclose(evaluate("divergence_under", trace).values, 0, atol=1e-6)
    model = model_of("llama")
    spared = logits(model, "skip-block", 1, "first")
    torch.testing.assert_close(spared[:, 0], logits(model)[:, 0])
    assert (spared[:, 1:] - logits(model, "skip-block", 1)[:, 1:]).abs().max() > 1e-3, "later blocks see the first"


def test_blocks_have_names_and_numbers(model_of: ModelOf) -> None:
    model = model_of("llama")
    every = list(model.blocks())
    words = {"all": every, "first": every[:1], "middle": every[1:2], "last": every[2:]}
    halves = {"earlier-half": every[:1], "later-half": every[2:], (1, 3): [every[0], every[2]]}
    for blocks, expected in (words | halves).items():
        assert chosen_blocks(model, blocks) == expected
    assert chosen_blocks(model, 3) == every[2:]
    with pytest.raises(NoSuchTap, match="has 3 layers; there is no block 4"):
        chosen_blocks(model, 4)
    with pytest.raises(NoSuchTap, match="there is no block 5"):
        chosen_blocks(model, (2, 5))
    with pytest.raises(NotMeasured, match="its block 3 is the last"):
        logits(model, "swap-blocks", 3)
    with pytest.raises(NotMeasured, match="a prompt has one token"):
        run_agreement(model, prompt_set((3, 1)), "key", ABOUT, Pass("agreement", "tiny", "skip-block", 1))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("agreement", "p", "none", "all", "default"), "nothing is changed; add under:"),
        (("agreement", "p", "swap-blocks", "last", "default"), "names none that has a next"),
        (("forward", "p", "skip-block", 2, "default"), "no block closes"),
        (("jacobian", "p", "none", 2, "default"), "write 'all' or 'last'"),
        (("loss", "p", "zero-coordinate", 2, "default"), "give both or neither"),
        (("loss", "p", "skip-block", 0, "default"), "unknown blocks= '0'"),
        (("loss", "p", "skip-block", [2, 1], "default"), r"unknown blocks= '\[2, 1\]'"),
        (("loss", "p", "swap-blocks", (1, 2), "default"), "names none that has a next"),
    ],
)
def test_a_change_that_means_nothing_is_refused(asked: Any, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        pass_of(*asked)
