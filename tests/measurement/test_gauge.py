"""Gauge: rewrites that leave every logit alone, the numbers that they change, and what each metric says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gauge import REWRITES, move_norm_scale, rescale_values, shift_along_mean
from tiny import LENGTHS, VARIANTS, eager_twin, prompt_set
from torch.overrides import TorchFunctionMode

from refutable.claims import MeasuredClaim
from refutable.errors import BadInput
from refutable.evidence.measured import judge_measured
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.measurement.session import make_pass
from refutable.metrics import GAUGES, METRICS, evaluate
from refutable.models.families import family_of
from refutable.models.subject import Subject
from refutable.traces.passes import Pass
from refutable.traces.scale_folding import UNNORMED, InputNorm, fold, input_norm
from refutable.traces.trace import Trace, norm_column
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict

ModelOf = Callable[[str], LoadedModel]

FACTOR = {"norm-scale": 1.7, "mean-shift": 0.6, "value-output": 1.7}
POST_NORM = dict.fromkeys(("opt-350m", "bloom-post"), "post-norm")
RMS = {name: "RMSNorm" for name, variant in VARIANTS.items() if family_of(variant.family).norm == "RMSNorm"}
DOES_NOT_APPLY = {
    "norm-scale": {**POST_NORM, "olmo": "no learned scale", "olmo2": "read the stream as it is"},
    "mean-shift": {**POST_NORM, **RMS},
    "value-output": {},
}
APPLIES = [(gauge, name) for gauge in REWRITES for name in VARIANTS if name not in DOES_NOT_APPLY[gauge]]
TOKENS = torch.randint(64, (2, 9), generator=torch.Generator().manual_seed(0))

SOME = ("gpt2", "gpt_neox-parallel", "gptj", "bloom", "llama", "gemma2")
MANY = (60,) * 6  # more tokens than coordinates, in either half
SHORT = (6, 5, 4)  # none ends in the padding token, whose embedding is zero in some families
FEW = ("gptj", "llama")
INVARIANT = 2e-4  # of a metric of float32 passes that agree to 1e-6 or so
MOVED = 1e-2


def test_there_is_a_rewrite_for_every_gauge_that_a_metric_can_declare() -> None:
    assert set(REWRITES) == set(GAUGES) == set(DOES_NOT_APPLY)


@pytest.mark.parametrize(("gauge", "name"), APPLIES)
def test_a_rewrite_leaves_the_logits_alone_in_float64(gauge: str, name: str) -> None:
    network, family = eager_twin(VARIANTS[name]).double(), family_of(VARIANTS[name].family)
    network.config._experts_implementation = "eager"  # grouped matrix products have no float64
    with torch.inference_mode(), _EverythingDouble():
        expected, got = logits(network), logits(REWRITES[gauge](network, family, FACTOR[gauge]))
    assert got.dtype == torch.float64
    assert relative(got, expected) <= 1e-10


@pytest.mark.parametrize(("gauge", "name"), APPLIES)
@torch.inference_mode()
def test_a_rewrite_leaves_the_logits_alone_in_float32(model_of: ModelOf, gauge: str, name: str) -> None:
    model = model_of(name)
    before = {key: tensor.clone() for key, tensor in model.network.state_dict().items()}
    expected = logits(model.network)
    changed = REWRITES[gauge](model.network, model.family, FACTOR[gauge])
    assert relative(logits(changed), expected) <= 1e-5
    now = model.network.state_dict()
    assert all(torch.equal(tensor, now[key]) for key, tensor in before.items()), "the network itself was changed"
    rewritten = changed.state_dict()
    assert any(not torch.equal(tensor, rewritten[key]) for key, tensor in before.items()), "nothing was rewritten"


@pytest.mark.parametrize(("gauge", "name"), [(g, n) for g in REWRITES for n in DOES_NOT_APPLY[g]])
def test_where_a_rewrite_does_not_apply_it_says_why(model_of: ModelOf, gauge: str, name: str) -> None:
    with pytest.raises(BadInput, match=DOES_NOT_APPLY[gauge][name]):
        REWRITES[gauge](model_of(name).network, model_of(name).family, FACTOR[gauge])


def test_values_that_are_clipped_are_not_rescaled(model_of: ModelOf) -> None:
    mpt = model_of("mpt")
    network = eager_twin(VARIANTS["mpt"])
    network.config.attn_config.clip_qkv = 6.0
    with pytest.raises(BadInput, match="clip_qkv"):
        rescale_values(network, mpt.family, 1.7)


@torch.inference_mode()
def test_a_factor_may_differ_from_channel_to_channel_and_from_head_to_head(model_of: ModelOf) -> None:
    generator = torch.Generator().manual_seed(3)
    for name in VARIANTS:
        model = model_of(name)
        expected = logits(model.network)
        if name not in DOES_NOT_APPLY["norm-scale"]:
            by_channel = 0.5 + torch.rand(32, generator=generator)
            assert relative(logits(move_norm_scale(model.network, model.family, by_channel)), expected) <= 1e-5, name
        heads = {"falcon-7b": 1, "falcon-40b": 2}.get(
            name, model.network.config.to_dict().get("num_key_value_heads", 4)
        )
        by_head = 0.5 + torch.rand(heads, generator=generator)
        assert relative(logits(rescale_values(model.network, model.family, by_head)), expected) <= 1e-5, name


# What a rewrite does change: each by as much as its definition says.


@pytest.mark.parametrize("name", [name for gauge, name in APPLIES if gauge == "norm-scale"])
def test_the_norm_of_what_a_module_reads_moves_with_the_norms_scale(model_of: ModelOf, name: str) -> None:
    before, after = traces(model_of(name), "norm-scale")
    for metric, tap in (("attention_gain", "attention_input"), ("mlp_gain", "mlp_input")):
        ratio = column(after, norm_column(tap)) / column(before, norm_column(tap))
        np.testing.assert_allclose(ratio, FACTOR["norm-scale"], rtol=1e-5)
        gains = evaluate(metric, after).values / evaluate(metric, before).values
        np.testing.assert_allclose(gains, 1 / FACTOR["norm-scale"], rtol=INVARIANT)


@pytest.mark.parametrize("name", [name for gauge, name in APPLIES if gauge == "mean-shift"])
def test_the_raw_gain_moves_with_the_mean_and_the_centred_one_does_not(model_of: ModelOf, name: str) -> None:
    before, after = traces(model_of(name), "mean-shift")
    raw, centred = (
        np.abs(evaluate("layer_gain", after, norm=norm).values / evaluate("layer_gain", before, norm=norm).values - 1)
        for norm in ("raw", "centred")
    )
    assert raw[:, 0].max() > MOVED, "the block whose updates were shifted"
    assert centred.max() < INVARIANT


@pytest.mark.parametrize("name", VARIANTS)
@torch.inference_mode()
def test_the_values_are_rescaled_though_no_stored_number_says_so(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    seen = []
    for network in (model.network, rescale_values(model.network, model.family, 1.7)):
        block = network.get_submodule(model.family.blocks)[0]
        last = {"o_proj", "out_proj", "dense", "c_proj"}
        below = block.get_submodule(model.family.attention).named_modules()
        output = next(module for at, module in below if at.rpartition(".")[2] in last)
        handle = output.register_forward_pre_hook(lambda module, args: seen.append(args[0].norm()))
        logits(network)
        handle.remove()
    assert float(seen[1] / seen[0]) == pytest.approx(1.7, rel=1e-5)


def test_hazard_h15_a_bias_of_the_last_block_moves_its_raw_gain(model_of: ModelOf) -> None:
    neox = model_of("gpt_neox-parallel")
    changed = replace(neox, network=shift_along_mean(neox.network, neox.family, 2.0, layer=3))
    before, after = (run_pass(model, prompt_set(), "key", ABOUT) for model in (neox, changed))
    assert np.abs(evaluate("last_gain", after).values / evaluate("last_gain", before).values - 1).min() > 0.1
    np.testing.assert_allclose(
        evaluate("last_gain", after, norm="centred").values,
        evaluate("last_gain", before, norm="centred").values,
        rtol=INVARIANT,
    )


# What each metric says of itself, held to it in both directions.


@pytest.mark.parametrize("norm", ["raw", "centred"])
@pytest.mark.parametrize("name", [*METRICS])
def test_a_metric_is_invariant_under_what_it_declares_and_under_nothing_else(
    model_of: ModelOf, name: str, norm: str
) -> None:
    metric = METRICS[name]
    declared = metric.invariant if norm == "raw" else metric.invariant_centred
    assert set(declared) <= set(GAUGES)
    for gauge in GAUGES:
        moves = []
        for model in SOME:
            if model not in DOES_NOT_APPLY[gauge] and has_form(model, name, norm):
                before, after = traces(model_of(model), gauge, metric.reads)
                moves.append(moved(name, before, after, norm=norm))
        if gauge in declared:
            assert max(moves) < INVARIANT, f"{name} ({norm}) says it is invariant under {gauge}"
        else:
            assert max(moves) > MOVED, f"{name} ({norm}) is invariant under {gauge} and does not say so"


@pytest.mark.parametrize("name", [n for n in METRICS if set(METRICS[n].invariant) != set(GAUGES)])
def test_a_metric_says_its_gauge_in_words(name: str) -> None:
    metric = METRICS[name]
    words = {"mean-shift": "mean", "norm-scale": "scale"}
    for gauge in set(GAUGES) - set(metric.invariant):
        assert words[gauge] in metric.doc, f"{name} does not say that it depends on {gauge}"


# The second canonical form: scales folded.


@pytest.mark.parametrize("name", [n for n, v in VARIANTS.items() if v.additive])
def test_the_folded_norm_is_that_of_the_input_before_scale_and_bias(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_pass(model, prompt_set(), "key", ABOUT)
    plain = trace.view("all", centred=False)
    for tap, seen in zip(("attention_input", "mlp_input"), before_scale(model, name), strict=True):
        got = fold(plain, fold_of(model)).norm(tap)
        np.testing.assert_allclose(got, seen, rtol=2e-5, err_msg=f"{name} {tap}")
        squared = fold(trace.view("first", centred=False), fold_of(model)).norm(tap) ** 2
        np.add.at(squared, plain.prompt, got**2)  # (prompts, layers): over all of a prompt's tokens
        whole = fold(trace.view("whole", centred=False), fold_of(model)).norm(tap)
        np.testing.assert_allclose(whole, np.sqrt(squared), rtol=1e-6, err_msg=f"{name} {tap}")


@pytest.mark.parametrize("norm", ["raw", "centred"])
@pytest.mark.parametrize("name", [*METRICS])
def test_the_folded_form_of_every_metric_is_invariant_under_the_norms_scale(
    model_of: ModelOf, name: str, norm: str
) -> None:
    for model in (model for model in SOME if has_form(model, name, norm)):
        folded = fold_of(model_of(model))
        before, after = traces(model_of(model), "norm-scale", METRICS[name].reads)
        assert moved(name, before, after, norm=norm, folded=folded) < INVARIANT, model
        if "norm-scale" in METRICS[name].invariant:
            layer: Any = "last" if METRICS[name].reads == "jacobian" else None
            plain, same = (evaluate(name, before, norm=norm, layer=layer, folded=f).values for f in (None, folded))
            np.testing.assert_array_equal(plain, same)


def test_a_model_that_norms_nothing_before_reading_has_nothing_to_fold(model_of: ModelOf) -> None:
    assert {VARIANTS[n].family for n, why in DOES_NOT_APPLY["norm-scale"].items() if "as it is" in why} == UNNORMED
    trace = run_pass(model_of("olmo2"), prompt_set(), "key", ABOUT)
    raw, folded = (evaluate("mlp_gain", trace, folded=f).values for f in (None, fold_of(model_of("olmo2"))))
    np.testing.assert_array_equal(raw, folded)


# The label: a verdict that another canonical form contradicts.


def labels(model: LoadedModel, metric: str, predicts: str, norm: str = "raw") -> tuple[str, ...]:
    return judged(model, metric, predicts, norm).labels


def judged(model: LoadedModel, metric: str, predicts: str, norm: str = "raw") -> Judgement:
    """Judge a claim on a model's first layer as the suite does, with a source that has this one trace."""
    claim = MeasuredClaim.model_validate(
        {
            "id": "a-claim",
            "statement": "made up",
            "source": {"document": "tests"},
            "evidence": "measured",
            "models": model.row.name,
            "for": "each",
            "prompts": "tiny",
            "test": {"statistic": "mean", "of": metric, "layer": 1, "predicts": predicts, "norm": norm},
        }
    )
    trace = run_pass(model, prompt_set(), "key", ABOUT)

    def samples(
        test: Any, prompts: str, subject: Subject, bos: str = "default", *, folded: bool = False
    ) -> tuple[Any, ...]:
        form = fold_of(model) if folded else None
        return tuple(
            evaluate(name, trace, position=test.position, norm=test.norm, layer=1, folded=form) for name in test.of
        )

    source: Any = SimpleNamespace(
        table=None,
        samples=samples,
        trace=lambda subject, one: trace,
        find_weights=lambda subject, spec: model.source,
        selection=SimpleNamespace(
            dtype="float32",
            chat_template=False,
            registry={model.row.name: model.row},
            subject=lambda name, **how: Subject(name, "init"),
        ),
    )
    return judge_measured(claim, (model.row.name,), source)


@pytest.mark.parametrize("name", SOME)
def test_a_verdict_that_the_scale_of_a_norm_decides_is_gauge_dependent(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    gain = float(evaluate("attention_gain", traces(model, "norm-scale")[0], layer=1).values.max())
    assert "gauge-dependent" not in labels(model, "attention_gain", f"< {100 * gain}")
    assert "gauge-dependent" not in labels(model, "attention_growth", "> 0.0001")
    rewritten = replace(model, network=move_norm_scale(model.network, model.family, 1e-4))
    assert "gauge-dependent" in labels(rewritten, "attention_gain", f"> {100 * gain}")
    assert "gauge-dependent" in labels(rewritten, "attention_gain", f"> {100 * gain}", norm="centred")
    assert "gauge-dependent" not in labels(rewritten, "attention_growth", "> 0.0001")


@pytest.mark.parametrize("name", [name for name in SOME if name not in RMS])
def test_a_verdict_that_the_mean_of_the_stream_decides_is_gauge_dependent(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    assert "gauge-dependent" not in labels(model, "layer_gain", "< 1000")
    shifted = replace(model, network=shift_along_mean(model.network, model.family, 1e5))
    assert "gauge-dependent" in labels(shifted, "layer_gain", "> 1000")
    assert "gauge-dependent" not in labels(shifted, "layer_gain", "< 1000", norm="centred")
    assert "gauge-dependent" not in labels(shifted, "attention_entropy", "< 10")


@pytest.mark.parametrize("name", SOME)
def test_a_rewrite_turns_a_verdict_that_says_its_gauge_and_not_the_form_in_which_it_is_fixed(
    model_of: ModelOf, name: str
) -> None:
    model = model_of(name)
    gain = float(evaluate("attention_gain", traces(model, "norm-scale")[0], layer=1).values.max())
    rewritten = replace(model, network=move_norm_scale(model.network, model.family, 1 / 128))
    before, after = (judged(one, "attention_gain", f"< {2 * gain}", norm="centred") for one in (model, rewritten))
    assert (before.verdict, after.verdict) == (Verdict.SUPPORTED, Verdict.REFUTED)
    assert "gauge: module-norm" in before.labels
    assert "gauge: module-norm" in after.labels
    fixed = [one.variations["scale folded"] for one in (before, after)]
    assert fixed[0].verdict is fixed[1].verdict
    values = [one.estimate.value for one in fixed if one.estimate is not None]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


# What the tests above share.

ABOUT = {"model": "tiny", "dtype": "float32"}
_TRACES: dict[tuple[str, str, str], tuple[Trace, Trace]] = {}


def traces(model: LoadedModel, gauge: str, reads: str = "forward") -> tuple[Trace, Trace]:
    """Return the trace of a model and of its rewritten twin, measured once."""
    key = (model.row.name, gauge, reads)
    if key not in _TRACES:
        jacobian = reads == "jacobian"  # of the last block alone, which is then the one that is shifted
        where = {"layer": len(model.blocks())} if jacobian and gauge == "mean-shift" else {}
        changed = replace(model, network=REWRITES[gauge](model.network, model.family, FACTOR[gauge], **where))
        lengths = {"forward": LENGTHS, "linearity": MANY}.get(reads, SHORT)
        prompts, about = prompt_set(lengths), {**ABOUT, "pass": reads}
        one = Pass(reads, blocks="last" if jacobian else "all")
        _TRACES[key] = tuple(make_pass(m, one, prompts, "key", about) for m in (model, changed))
    return _TRACES[key]


def has_form(model: str, metric: str, norm: str) -> bool:
    """Whether a model has such a quantity: heads only where no norm follows them, no mean where no norm takes it off.

    Jacobians are slow to take; a few models, with biases and without, with each norm, show what there is to see.
    """
    if METRICS[metric].reads == "heads" and model == "gemma2":
        return False
    if METRICS[metric].reads in ("jacobian", "through") and model not in FEW:
        return False
    return not (metric in ("jacobian_norm", "largest_relative_growth") and norm == "centred" and model in RMS)


def moved(name: str, before: Trace, after: Trace, **how: Any) -> float:
    """Return the largest change of a metric, relative where it is larger than 1; NaN must stay NaN."""
    if METRICS[name].reads == "jacobian":
        how["layer"] = "last"
    old, new = (evaluate(name, trace, **how).values for trace in (before, after))
    assert (np.isnan(old) == np.isnan(new)).all()
    change = np.abs(new - old) / np.maximum(np.abs(old), 1.0 if METRICS[name].unit == "cosine" else 1e-3)
    return float(np.nanmax(change))


def fold_of(model: LoadedModel) -> InputNorm:
    return input_norm(model.family, model.config.to_dict())


def column(trace: Trace, name: str) -> np.ndarray:
    return trace.blocks[name].to_numpy().astype(np.float64)


def logits(network: Any) -> torch.Tensor:
    return network(TOKENS, use_cache=False).logits


def relative(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


@torch.inference_mode()
def before_scale(model: LoadedModel, name: str) -> list[np.ndarray]:
    """Return the norm of attention's and of the MLP's input less the norm's bias and over its scale, (rows, layers)."""
    taps = []
    for path, norm_path in zip((model.family.attention, model.family.mlp), VARIANTS[name].norms, strict=True):
        rows = []
        for ids in model.tokenizer.encode(prompt_set()):
            layers: list[np.ndarray] = []
            handles = []
            for block in model.blocks():
                norm = block.get_submodule(norm_path) if norm_path else None

                def keep(module: Any, args: Any, kwargs: Any, *, norm: Any = norm, into: Any = layers) -> None:
                    read = (args[0] if args else kwargs["hidden_states"]).double().reshape(-1, 32)  # (T, D)
                    if getattr(norm, "weight", None) is not None:
                        bias = getattr(norm, "bias", None)
                        one = 1 if "gemma" in name else 0
                        read = (read - (0 if bias is None else bias.double())) / (one + norm.weight.double())
                    into.append(read[1:].norm(dim=-1).numpy())

                handles.append(block.get_submodule(path).register_forward_pre_hook(keep, with_kwargs=True))
            model.network(torch.tensor([ids]), use_cache=False)
            for handle in handles:
                handle.remove()
            rows.append(np.stack(layers, axis=1))  # (T - 1, layers)
        taps.append(np.concatenate(rows))
    assert len(taps[0]) == sum(LENGTHS) - len(LENGTHS)
    return taps


class _EverythingDouble(TorchFunctionMode):
    """Makes model code that asks for float32 (norms, softmax, positions) compute in float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def widened(value: Any) -> Any:
            return torch.float64 if value is torch.float32 else value

        func = torch.Tensor.double if func is torch.Tensor.float else func
        return func(*map(widened, args), **{key: widened(value) for key, value in (kwargs or {}).items()})
