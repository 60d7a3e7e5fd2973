"""Fresh weights by the training code's scheme: the rules' numbers, what is drawn of them, and on what it depends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from refutable.cli import app
from refutable.errors import BadInput, InstrumentError, UnknownName
from refutable.measurement.loading import initialise as module
from refutable.measurement.loading.initialise import OUTPUTS, RULES, TRANSFORMERS, Sizes, initialise, kinds_of, undrawn
from refutable.measurement.loading.load import draw
from refutable.models.families import family_of
from refutable.models.reduced_config import reduced
from refutable.models.registry import load_registry
from refutable.models.row import InitRule
from refutable.models.subject import Subject
from refutable.models.weights import Finder

REGISTRY = load_registry()
WIDTH, LAYERS, VOCABULARY = 128, 6, 512
_GPT = {"vocab_size": VOCABULARY, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": 4, "n_positions": 64}
_NEOX = {
    "model_type": "gpt_neox",
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 4 * WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "hidden_act": "gelu",
    "max_position_embeddings": 64,
    "rotary_pct": 0.25,
    "use_parallel_residual": True,
    "initializer_range": 0.02,
    "tie_word_embeddings": False,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {"model_type": "gpt2", **_GPT},
    "small-wang": _NEOX,
    "pythia-large": _NEOX,
    "mesh-transformer-jax": {"model_type": "gptj", **_GPT, "rotary_dim": 8, "tie_word_embeddings": False},
}
RULED = [row.name for row in REGISTRY if row.init != TRANSFORMERS]
SEED = 3


def drawn(rule: str, dtype: str = "float32", seed: int = SEED, **changes: Any) -> Any:
    return draw({**CONFIGS[rule], **changes}, Subject("tiny", "init", dtype=dtype, seed=seed), rule=rule)


@pytest.fixture
def _empty_is_nan() -> Iterator[None]:
    """Let bare memory be NaN, so that a parameter nobody drew is seen."""
    torch.use_deterministic_algorithms(True)  # torch.utils.deterministic.fill_uninitialized_memory is on by default
    yield
    torch.use_deterministic_algorithms(False)


# The rules as data.


def test_the_registry_may_name_exactly_the_rules_that_exist() -> None:
    assert {*get_args(InitRule)} == {TRANSFORMERS, *RULES}
    assert all(rule.sources and rule.unverified for rule in RULES.values())


@pytest.mark.parametrize(
    ("rule", "kind", "sizes", "deviation"),
    [
        # EleutherAI/pythia issue #135: what small_init and wang_init give for 6.9B, and what its step0 has instead
        ("small-wang", "input", Sizes(32, 4096, 50432), 0.009882117688026186),
        ("small-wang", "output", Sizes(32, 4096, 50432), 0.0009765625),
        ("pythia-large", "input", Sizes(32, 4096, 50432), 0.02),
        ("pythia-large", "output", Sizes(32, 4096, 50432), 0.0025),
        ("pythia-large", "output", Sizes(36, 5120, 50688), 0.0023570226),  # 0.02 / sqrt(72)
        ("small-wang", "embedding", Sizes(6, 512, 50304), 0.0279508497),  # sqrt(2 / 2560)
        ("mesh-transformer-jax", "input", Sizes(28, 4096, 50400), 0.015625),  # 1 / 64
        ("mesh-transformer-jax", "unembedding", Sizes(28, 4096, 50400), 0.015625),
        ("mesh-transformer-jax", "output", Sizes(28, 4096, 50400), 0.0011160714),  # 2 / (28 * 64)
        ("mesh-transformer-jax", "embedding", Sizes(28, 4096, 50400), 0.0044543540),  # 1 / sqrt(50400)
        ("gpt2", "input", Sizes(48, 1600, 50257), 0.02),
        ("gpt2", "output", Sizes(48, 1600, 50257), 0.0020412415),  # 0.02 / sqrt(96)
        ("gpt2", "positions", Sizes(48, 1600, 50257), 0.01),  # wpe of the published TensorFlow code; HF has 0.02
    ],
)
def test_a_rule_gives_the_deviation_of_its_source(rule: str, kind: str, sizes: Sizes, deviation: float) -> None:
    assert getattr(RULES[rule], kind)(sizes) == pytest.approx(deviation, rel=1e-7)


# The training files of Pythia at EleutherAI/pythia say small_init and wang_init up to 2.8b, and nothing above.
@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("small-wang", ["pythia-70m", "pythia-160m", "pythia-410m", "pythia-1b", "pythia-1.4b", "pythia-2.8b"]),
        ("small-wang", ["gpt-neox-20b", "stablelm-alpha-3b", "tiny-gpt-neox", "tiny-gpt-neox-sequential"]),
        ("pythia-large", ["pythia-6.9b", "pythia-12b", "pythia-6.9b-v0"]),
        ("mesh-transformer-jax", ["gptj", "tiny-gptj"]),
        ("gpt2", ["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "tiny-gpt2"]),
        (TRANSFORMERS, ["smollm2", "llama-3.1-8b", "opt-125m", "bloom-560m", "tiny-llama", "gpt-neo-125m"]),
    ],
)
def test_the_registrys_rules(rule: str, names: list[str]) -> None:
    assert {name: REGISTRY[name].init for name in names} == dict.fromkeys(names, rule)


# What is drawn.


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_matrix_has_the_deviation_of_its_kind(rule: str, dtype: str) -> None:
    network = drawn(rule, dtype)
    kinds = kinds_of(network, family_of(CONFIGS[rule]["model_type"]))
    sizes, chosen = Sizes(LAYERS, WIDTH, VOCABULARY), RULES[rule]
    # a normal cut at two deviations: variance 1 - 2 * 2 phi(2) / (Phi(2) - Phi(-2)) = 0.7737
    shrunk = (
        math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))) if chosen.truncated else 1
    )
    assert not chosen.truncated or shrunk == pytest.approx(0.8796, abs=1e-4)
    for name, parameter in network.named_parameters():
        assert str(parameter.dtype) == f"torch.{dtype}"
        values, n = parameter.detach().double(), parameter.numel()
        match kinds[name]:
            case "bias":
                assert (values == 0).all(), name
            case "scale":
                assert (values == 1).all(), name
            case kind:
                deviation = getattr(chosen, kind)(sizes) * shrunk
                # sd of a sample's deviation: sigma / sqrt(2 n) for a normal, less for a cut one; of its mean: sigma /
                # sqrt(n). Rounding to bfloat16 is unbiased and changes a value by 2^-9 of it at most.
                assert values.std().item() == pytest.approx(deviation, rel=5 / math.sqrt(2 * n) + 2**-9), name
                assert abs(values.mean().item()) < 5.5 * deviation / math.sqrt(n), name
                farthest = values.abs().max().item() / deviation
                assert farthest <= 2 / shrunk * (1 + 2**-8) if chosen.truncated else farthest > 3, name


@pytest.mark.parametrize("rule", RULES)
def test_the_drawn_values_are_of_the_distribution_that_the_rule_names(rule: str) -> None:
    from scipy import stats

    values = drawn(rule).get_input_embeddings().weight.detach().double().numpy().ravel()
    deviation = RULES[rule].embedding(Sizes(LAYERS, WIDTH, VOCABULARY))
    named = stats.truncnorm(-2, 2) if RULES[rule].truncated else stats.norm()
    assert stats.kstest(values / deviation, named.cdf).pvalue > 1e-4


@pytest.mark.parametrize("rule", RULES)
def test_the_output_matrices_write_to_the_stream_and_no_others_do(rule: str) -> None:
    """Let the outputs write to coordinate 0 only, and blocks change nothing else: the table of outputs is right."""
    network, family = drawn(rule).eval(), family_of(CONFIGS[rule]["model_type"])
    blocks, seen = network.get_submodule(family.blocks), []
    blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    blocks[-1].register_forward_hook(lambda module, args, out: seen.append(out[0] if isinstance(out, tuple) else out))

    def changed() -> list[int]:
        seen.clear()
        with torch.inference_mode():
            network(torch.arange(7)[None])
        return [*(seen[1] - seen[0]).abs().amax(dim=(0, 1)).nonzero().flatten().tolist()]

    def restrict(path: str) -> None:
        for block in blocks:
            weight = block.get_submodule(path).weight.data
            (weight[:, 1:] if family.model_type == "gpt2" else weight[1:]).zero_()  # Conv1D is (in, out)

    attention, mlp = OUTPUTS[family.model_type]
    assert len(changed()) == WIDTH
    restrict(attention)
    assert len(changed()) == WIDTH
    restrict(mlp)
    assert changed() == [0]


@pytest.mark.usefixtures("_empty_is_nan")
@pytest.mark.parametrize("name", [row.name for row in REGISTRY])
def test_every_registered_models_rule_draws_every_parameter_and_buffer(name: str) -> None:
    row = REGISTRY[name]
    network = draw(reduced(row.config), Subject(name, "init"), rule=row.init)
    for key, tensor in [*network.named_parameters(), *network.named_buffers()]:
        assert torch.isfinite(tensor).all(), key
        assert tensor.device.type == "cpu"
    if row.init != TRANSFORMERS:
        kinds = kinds_of(network, row.architecture)
        assert sum(kind == "output" for kind in kinds.values()) == 2 * len(
            network.get_submodule(row.architecture.blocks)
        )


@pytest.mark.usefixtures("_empty_is_nan")
@pytest.mark.parametrize("rule", RULES)
def test_undrawn_parameters_are_bare_memory_and_buffers_are_not(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refutable.measurement.loading.load.initialise", lambda *args: None)
    network = drawn(rule)
    # biases of GPT-2's Conv1D are made as zeros
    assert all(matrix.isnan().all() for matrix in network.parameters() if matrix.ndim == 2), (
        "the test above sees nothing"
    )
    assert all(torch.isfinite(buffer).all() for buffer in network.buffers())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_all_but_the_weights_is_as_transformers_builds_it(rule: str, dtype: str) -> None:
    ours, theirs = drawn(rule, dtype).eval(), draw(CONFIGS[rule], Subject("tiny", "init", dtype=dtype)).eval()
    buffers = dict(theirs.named_buffers())
    assert set(dict(ours.named_buffers())) == set(buffers)
    for name, buffer in ours.named_buffers():
        assert buffer.dtype == buffers[name].dtype
        assert torch.equal(buffer, buffers[name]), name
    theirs.load_state_dict(ours.state_dict())
    tokens = torch.arange(12).reshape(2, 6)
    with torch.inference_mode():
        assert torch.equal(ours(tokens).logits, theirs(tokens).logits)


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_unembedding_stays_the_embedding(tied: bool, tmp_path: Path) -> None:
    network = drawn("gpt2", tie_word_embeddings=tied)
    assert (network.lm_head.weight is network.transformer.wte.weight) == tied
    assert torch.equal(network.lm_head.weight, network.transformer.wte.weight) == tied
    assert ("lm_head.weight" in dict(network.named_parameters())) != tied
    network.save_pretrained(tmp_path)
    assert ("lm_head.weight" in load_file(tmp_path / "model.safetensors")) != tied


# On what a draw depends.


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_draw_is_its_seed_and_leaves_the_global_generator_alone(rule: str, dtype: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = drawn(rule, dtype).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    second, other = drawn(rule, dtype).state_dict(), drawn(rule, dtype, seed=SEED + 1).state_dict()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
        assert torch.equal(tensor, other[name]) == (name.endswith("bias") or "ln_" in name or "norm" in name), name


@pytest.mark.parametrize("rule", RULES)
def test_no_two_matrices_are_drawn_alike(rule: str) -> None:
    network = drawn(rule)
    heads = [
        parameter.detach().flatten()[:64] / parameter.detach().flatten()[0]
        for parameter in network.parameters()
        if parameter.ndim == 2
    ]
    stack = torch.stack(heads)
    assert len(torch.unique(stack, dim=0)) == len(heads)


@pytest.mark.parametrize("rule", RULES)
def test_a_matrix_does_not_depend_on_what_else_is_drawn(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, family = drawn(rule), family_of(CONFIGS[rule]["model_type"])
    again = drawn(rule)
    parameters = dict(again.named_parameters())
    for parameter in parameters.values():
        parameter.data.fill_(math.nan)
    monkeypatch.setattr(again, "named_parameters", lambda: reversed(parameters.items()))
    initialise(again, family, rule, SEED)
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, parameters[name]), name


def test_a_deeper_model_of_an_unscaled_rule_has_the_same_first_blocks() -> None:
    shallow, deep = drawn("pythia-large"), drawn("pythia-large", num_hidden_layers=LAYERS + 2)
    more = dict(deep.named_parameters())
    for name, parameter in shallow.named_parameters():
        if ".dense.weight" not in name and "4h_to_h.weight" not in name:  # the outputs' scale is the depth's
            assert torch.equal(parameter, more[name]), name


@pytest.mark.parametrize("rule", ["small-wang", "mesh-transformer-jax"])
def test_bfloat16_is_float32_rounded(rule: str) -> None:
    exact, rounded = drawn(rule).state_dict(), drawn(rule, "bfloat16").state_dict()
    assert all(torch.equal(exact[name].bfloat16(), rounded[name]) for name in exact)


@pytest.mark.parametrize("rule", ["small-wang", "mesh-transformer-jax"])
def test_a_matrix_of_many_chunks_is_drawn_to_its_end(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 1000)  # divides no matrix here
    network = drawn(rule)
    kinds = kinds_of(network, family_of(CONFIGS[rule]["model_type"]))
    shrunk = 0.8796 if RULES[rule].truncated else 1
    for name, parameter in network.named_parameters():
        if parameter.ndim == 2:
            deviation = getattr(RULES[rule], kinds[name])(Sizes(LAYERS, WIDTH, VOCABULARY)) * shrunk
            flat = parameter.detach().flatten()
            for part in (flat[:1000], flat[1000:2000], flat[-1000:]):
                assert part.std().item() == pytest.approx(deviation, rel=6 / math.sqrt(2000)), name
            assert not torch.equal(flat[:1000], flat[1000:2000])


# What follows for the residual stream (hazard H12).


def predicted_square(input_: float, output: float, embedding: float, layers: int, width: int) -> float:
    """Return E |x_L|^2 of one token through L parallel NeoX blocks.

    LayerNorm makes an input of squared length d, so a matrix of deviation s makes coordinates of variance s^2 d. One
    token attends to itself: attention adds variance (s^2 d) d o^2 a coordinate. The MLP's 4d hidden units are gelu(z)
    with z of variance s^2 d: it adds 4 d E[gelu(z)^2] o^2. Blocks are independent of what came before.
    """
    from scipy.special import erf

    points, weights = np.polynomial.hermite_e.hermegauss(80)
    z = points * input_ * math.sqrt(width)
    gelu = z * (1 + erf(z / math.sqrt(2))) / 2
    square = float(np.sum(weights * gelu**2) / np.sum(weights))
    return width * embedding**2 + layers * width * output**2 * (input_**2 * width**2 + 4 * width * square)


def mean_square(rule: str, layers: int, width: int, seeds: int) -> float:
    """Return the mean of |x_L|^2 over seeds, one token."""
    config = {**_NEOX, "hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers}
    squares = []
    for seed in range(seeds):
        network = draw(config, Subject("tiny", "init", seed=seed), rule=rule).eval()
        with torch.inference_mode():
            seen: list[torch.Tensor] = []
            network.gpt_neox.layers[-1].register_forward_hook(lambda module, args, out, seen=seen: seen.append(out))
            network(torch.tensor([[5]]))
        last = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
        squares.append(float(last[0, -1].double().square().sum()))
    return float(np.mean(squares))


@pytest.mark.parametrize("rule", [TRANSFORMERS, "small-wang", "pythia-large"])
def test_the_residual_norm_at_initialisation_is_the_formulas(rule: str) -> None:
    layers, width, seeds = 6, 128, 12
    sizes = Sizes(layers, width, VOCABULARY)
    own = RULES.get(rule)
    scales = (own.input(sizes), own.output(sizes), own.embedding(sizes)) if own else (0.02, 0.02, 0.02)
    # |x_L|^2 is nearly s^2 chi^2_d, of relative sd sqrt(2 / d), and so sqrt(2 / (12 * 128)) = 0.036 for the mean
    expected = predicted_square(*scales, layers=layers, width=width)
    assert mean_square(rule, layers, width, seeds) == pytest.approx(expected, rel=5 * math.sqrt(2 / (seeds * width)))


def test_transformers_own_rule_makes_the_stream_of_a_32_block_neox_8_times_too_long() -> None:
    """Hazard H12: 930.9 and not 116.4 at Pythia-6.9B's shape: outputs at 0.02 and not 0.02 / sqrt(64)."""
    full = {rule: predicted_square(0.02, 0.02 / by, 0.02, 32, 4096) for rule, by in ((TRANSFORMERS, 1), ("own", 8))}
    assert math.sqrt(full[TRANSFORMERS] / full["own"]) == pytest.approx(930.9 / 116.4, rel=1e-3)
    layers, width, seeds = 32, 64, 8
    ratio = math.sqrt(
        mean_square(TRANSFORMERS, layers, width, seeds) / mean_square("pythia-large", layers, width, seeds)
    )
    expected = math.sqrt(
        predicted_square(0.02, 0.02, 0.02, layers, width) / predicted_square(0.02, 0.0025, 0.02, layers, width)
    )
    # the relative sd of each mean square is sqrt(2 / (8 * 64)); of the root of their ratio, 1 / sqrt(2) of that
    assert ratio == pytest.approx(expected, rel=5 / math.sqrt(seeds * width))


# How it is named and refused.


def test_the_rule_is_in_the_digest_and_in_the_words(finder: Finder) -> None:
    row = REGISTRY["tiny-gpt-neox"]
    subject = Subject(row.name)
    sources = {rule: finder.find(row.model_copy(update={"init": rule}), subject) for rule in (TRANSFORMERS, *RULES)}
    assert len({source.digest for source in sources.values()}) == len(sources)
    assert sources["small-wang"].detail == "freshly drawn by the small-wang rule"
    assert sources[TRANSFORMERS].detail == "freshly drawn by transformers' rule"


def test_a_subjects_weights_are_drawn_by_its_rows_rule(finder: Finder, tmp_path: Path) -> None:
    from refutable.measurement.loading.load import load_model

    row = REGISTRY["tiny-gptj"]
    subject = Subject(row.name, "init", seed=5)
    loaded = load_model(row, subject, finder.find(row, subject), tmp_path).network.state_dict()
    own, theirs = (draw(row.config, subject, rule=rule).state_dict() for rule in (row.init, TRANSFORMERS))
    assert all(torch.equal(loaded[name], own[name]) for name in own)
    assert any(not torch.equal(loaded[name], theirs[name]) for name in own)


def test_the_command_draws_by_the_rows_rule(tmp_path: Path) -> None:
    out = tmp_path / "weights"
    said = CliRunner().invoke(app, ["draw", "tiny-gpt-neox", "--out", str(out), "--seed", "2", "--device", "cpu"])
    assert said.exit_code == 0, said.output
    assert "freshly drawn by the small-wang rule, seed 2, float32" in " ".join(said.output.split())
    row = REGISTRY["tiny-gpt-neox"]
    expected = draw(row.config, Subject(row.name, "init", seed=2), rule="small-wang")
    saved = load_file(out / "model.safetensors")
    shapes = [tuple(tensor.shape) for tensor in saved.values()]
    assert sorted(shapes) == sorted(tuple(parameter.shape) for parameter in expected.parameters())
    key = "gpt_neox.layers.1.mlp.dense_4h_to_h.weight"
    assert torch.equal(saved[key], expected.get_parameter(key))


def test_a_wrong_rule_of_a_registry_row_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("models:\n  gptj:\n    init: small-wnag\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"models.gptj.init: unknown value 'small-wnag'.* Did you mean 'small-wang'\?"):
        load_registry(tmp_path / "models.yaml")


def test_a_rule_that_does_not_exist_or_cannot_be_applied_is_bad_input() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'gpt2'"):
        draw(CONFIGS["gpt2"], Subject("tiny", "init"), rule="gtp2")
    with pytest.raises(BadInput, match="only `transformers` can draw the family 'llama'"):
        draw(reduced(REGISTRY["tiny-llama"].config), Subject("tiny", "init"), rule="small-wang")


def test_a_parameter_of_no_known_kind_is_an_error() -> None:
    network = drawn("gpt2")
    network.transformer.h[0].attn.extra = torch.nn.Parameter(torch.zeros(2, 2, 2))
    with pytest.raises(InstrumentError, match=r"h\.0\.attn\.extra \(2, 2, 2\): no rule"):
        initialise(network, family_of("gpt2"), "gpt2", 0)


def test_building_undrawn_leaves_torch_as_it_was() -> None:
    with undrawn():
        pass
    assert float(torch.nn.init.ones_(torch.empty(3)).sum()) == 3
    assert float(torch.nn.Linear(64, 64).weight.detach().std()) == pytest.approx(1 / math.sqrt(3 * 64), rel=0.1)
