"""A second opinion: TransformerLens' bridge and nnsight read the same numbers off the same weights.

The bridge reads what is really added to the stream; nnsight hands out a module's raw output, which in some families is
not that. Both are development tools: without them every test here is skipped.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import LENGTHS, VARIANTS, VOCABULARY, Variant, eager_twin, prompt_set

from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.tokens import StandInTokens
from refutable.measurement.passes.forward import run_pass
from refutable.models.families import family_of
from refutable.traces.trace import ENTROPY_COLUMN, Tap, Trace, norm_column, product_column

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-4
NOT_LOADED_BY_TRANSFORMER_LENS = {
    "falcon-40b": (RuntimeError, "split_with_sizes", "it splits query, key and value by the old decoder's sizes"),
}
NOT_LOADED_BY_NNSIGHT: dict[str, tuple[type[Exception], str, str]] = {}
NOT_THE_UPDATE: dict[str, dict[Tap, str]] = {
    "bloom": {"attention_update": "the module adds the residual", "mlp_update": "the module adds the residual"},
    "mpt": {"mlp_update": "the module adds the residual"},
    "gemma2": {"attention_update": "a norm comes after it", "mlp_update": "a norm comes after it"},
    "gemma3": {"attention_update": "a norm comes after it", "mlp_update": "a norm comes after it"},
    "olmo2": {"attention_update": "a norm comes after it", "mlp_update": "a norm comes after it"},
    "glm4": {"attention_update": "a norm comes after it", "mlp_update": "a norm comes after it"},
    "granite": {"attention_update": "the block scales it", "mlp_update": "the block scales it"},
}
UPDATES: tuple[Tap, ...] = ("attention_update", "mlp_update")
PAIRS: tuple[tuple[Tap, Tap], ...] = (
    ("attention_update", "mlp_update"),
    ("block_input", "attention_update"),
    ("block_input", "mlp_update"),
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """What a library read.

    Attributes:
        vectors: of each tap, at every real position, shape (rows, layers, D).
        entropy: attention entropy of each prompt's last query, shape (prompts, layers), nats, mean over heads.
    """

    vectors: dict[Tap, Array]
    entropy: Array

    def norm(self, tap: Tap) -> Array:
        return np.linalg.norm(self.vectors[tap], axis=-1)

    def cosine(self, a: Tap, b: Tap) -> Array:
        dot: Array = (self.vectors[a] * self.vectors[b]).sum(axis=-1)
        return dot / (self.norm(a) * self.norm(b))


@pytest.fixture(scope="session")
def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and mask of the tiny prompts, right-padded, shape (B, T)."""
    ids = StandInTokens(VOCABULARY).encode(prompt_set())
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(one) for one in ids], batch_first=True)
    return padded, (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()


@pytest.fixture(scope="session")
def bridge_of() -> Callable[[str], Any]:
    """Return TransformerLens' bridge over a variant's weights; it rebuilds the network it is given."""
    if importlib.util.find_spec("transformer_lens") is None:
        pytest.skip("needs TransformerLens: pip install transformer-lens")
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    def bridge(name: str) -> Any:
        network = eager_twin(VARIANTS[name])
        return build_bridge_from_module(network, type(network).__name__, hf_config=network.config)

    return bridge


@pytest.fixture(scope="session")
def nnsight_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Return nnsight over a variant's weights; told not to put `.save` on every object of this process."""
    if importlib.util.find_spec("nnsight") is None:
        pytest.skip("needs nnsight: pip install nnsight")
    config = tmp_path_factory.mktemp("nnsight") / "config.yaml"
    config.write_text("APP: {PYMOUNT: false}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNSIGHT_CONFIG", str(config))
        import nnsight
    return lambda name: nnsight.NNsight(eager_twin(VARIANTS[name]))


@pytest.fixture
def trace_of(model_of: Callable[[str], LoadedModel]) -> Callable[[str], Trace]:
    return lambda name: run_pass(model_of(name), prompt_set(), "key", {"model": name, "dtype": "float32"})


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in NOT_LOADED_BY_TRANSFORMER_LENS])
def test_transformer_lens_reads_the_same(
    name: str,
    bridge_of: Callable[[str], Any],
    trace_of: Callable[[str], Trace],
    tokens: tuple[torch.Tensor, torch.Tensor],
) -> None:
    theirs = by_transformer_lens(bridge_of(name), VARIANTS[name], *tokens)
    assert_agree(trace_of(name), theirs, UPDATES if VARIANTS[name].additive else ())


@pytest.mark.parametrize("name", NOT_LOADED_BY_TRANSFORMER_LENS)
def test_transformer_lens_does_not_load(name: str, bridge_of: Callable[[str], Any]) -> None:
    kind, message, _ = NOT_LOADED_BY_TRANSFORMER_LENS[name]
    with pytest.raises(kind, match=message):
        bridge_of(name)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in NOT_LOADED_BY_NNSIGHT])
def test_nnsight_reads_the_same_where_a_modules_output_is_the_update(
    name: str,
    nnsight_of: Callable[[str], Any],
    trace_of: Callable[[str], Trace],
    tokens: tuple[torch.Tensor, torch.Tensor],
) -> None:
    theirs = by_nnsight(nnsight_of(name), VARIANTS[name], *tokens)
    taps = [tap for tap in UPDATES if VARIANTS[name].additive and tap not in NOT_THE_UPDATE.get(name, {})]
    assert_agree(trace_of(name), theirs, taps)


@pytest.mark.parametrize(("name", "tap"), [(name, tap) for name, taps in NOT_THE_UPDATE.items() for tap in taps])
def test_nnsight_reads_another_vector_where_a_modules_output_is_not_the_update(
    name: str,
    tap: Tap,
    nnsight_of: Callable[[str], Any],
    trace_of: Callable[[str], Trace],
    tokens: tuple[torch.Tensor, torch.Tensor],
) -> None:
    theirs = by_nnsight(nnsight_of(name), VARIANTS[name], *tokens).norm(tap)
    ours = column(trace_of(name), norm_column(tap))
    assert np.median(np.abs(theirs / ours - 1)) > 0.1


def by_transformer_lens(bridge: Any, variant: Variant, ids: torch.Tensor, mask: torch.Tensor) -> Reading:
    kinds: dict[Tap, str] = {
        "block_input": "hook_resid_pre",
        "block_output": "hook_resid_post",
        "attention_update": "hook_attn_out",
        "mlp_update": "hook_mlp_out",
    }
    layers = range(variant.layers)
    names = {f"blocks.{layer}.{kind}" for layer in layers for kind in (*kinds.values(), "attn.hook_pattern")}
    with torch.inference_mode():
        _, cache = bridge.run_with_cache(
            ids, attention_mask=mask, return_cache_object=False, names_filter=names.__contains__
        )
    vectors = {tap: [cache[f"blocks.{layer}.{kind}"] for layer in layers] for tap, kind in kinds.items()}
    return reading(vectors, [cache[f"blocks.{layer}.attn.hook_pattern"] for layer in layers], mask)


def by_nnsight(model: Any, variant: Variant, ids: torch.Tensor, mask: torch.Tensor) -> Reading:
    import nnsight

    family = family_of(variant.family)
    at = functools.partial(functools.reduce, getattr)
    mlp = family.mlp_update if variant.family == "opt" else family.mlp  # OPT's MLP is no module: fc1 and fc2
    with torch.inference_mode(), model.trace(input_ids=ids, attention_mask=mask):
        seen = nnsight.save([])
        for block in at(family.blocks.split("."), model):
            x = block.input
            attention = at(family.attention.split("."), block).output
            m = first(at(mlp.split("."), block).output).clone()  # Falcon adds to it in place
            seen.append((x, first(attention), m, first(block.output), attention[1]))
    x, a, m, y, patterns = zip(*seen, strict=True)
    return reading({"block_input": x, "attention_update": a, "mlp_update": m, "block_output": y}, patterns, mask)


def reading(vectors: dict[Tap, Any], patterns: Any, mask: torch.Tensor) -> Reading:
    """Return a reading of layers' vectors, each (B, T, D), and attention probabilities, each (B, heads, T, T)."""
    real = mask.bool()
    prompts, last = torch.arange(len(mask)), mask.sum(dim=-1) - 1
    p = torch.stack([pattern[prompts, :, last].double() for pattern in patterns], dim=1)  # (B, layers, heads, T)
    stacked = {
        tap: torch.stack(
            [layer.reshape(*mask.shape, -1)[real].double() for layer in layers], dim=1
        )  # (rows, layers, D)
        for tap, layers in vectors.items()
    }
    return Reading(
        {tap: stack.numpy() for tap, stack in stacked.items()},
        -torch.xlogy(p, p).sum(dim=-1).mean(dim=-1).numpy(),
    )


def assert_agree(trace: Trace, theirs: Reading, updates: Any) -> None:
    """Compare gains, updates' norms and cosines at every position and layer, entropies at the last token."""
    x, y = (column(trace, norm_column(tap)) for tap in ("block_input", "block_output"))
    np.testing.assert_allclose(y / x, theirs.norm("block_output") / theirs.norm("block_input"), rtol=TOLERANCE)
    for tap in updates:
        np.testing.assert_allclose(column(trace, norm_column(tap)), theirs.norm(tap), rtol=TOLERANCE)
    for a, b in PAIRS:
        if {a, b} <= {"block_input", *updates}:
            cosine = column(trace, product_column(a, b)) / column(trace, norm_column(a)) / column(trace, norm_column(b))
            np.testing.assert_allclose(cosine, theirs.cosine(a, b), rtol=0, atol=TOLERANCE)
    entropy = trace.view("last", centred=False).column(ENTROPY_COLUMN)
    np.testing.assert_allclose(entropy, theirs.entropy, rtol=0, atol=TOLERANCE)


def column(trace: Trace, name: str) -> Array:
    """Return a column as (rows, layers)."""
    values: Array = trace.blocks[name].to_numpy().astype(np.float64)
    return values.reshape(-1, int(trace.meta["layers"]))


def first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple | list) else output
