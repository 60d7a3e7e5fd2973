"""Models whose weights are made so that every metric is known before anything runs.

Each token has a trajectory of its own: in every block the stream x is added an attention update a and an MLP update m
whose lengths and angles are given (`Targets`), and the closed forms follow from these by school geometry, never from
vectors (`truth`). Vectors are then chosen that have this geometry (`vectors`), and weights that make the model add
exactly them (`build`): with N the matrix whose columns are the normed inputs of the tokens and N+ its pseudoinverse,

* the values are N+ n, which marks token t by one 1; the output matrix maps the mark to a; equal tokens make equal
  values, so attention gives a whatever its weights are;
* the MLP's first matrix is K N+, whose activation is act(K) at t and act(0) = 0 elsewhere; its last maps that to m;
* query and key are 0 (uniform attention), or a large multiple of N+ (each token attends to its own kind alone).

Where an update passes a norm before it is added (Gemma-2), or the embedding does (BLOOM), what must stand before the
norm is found by undoing it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tiny import Variant, row_of, source_of

from refutable.measurement.instrument.attention_probe import REGISTERED, register
from refutable.measurement.loading.load import draw
from refutable.measurement.loading.loaded import LoadedModel
from refutable.models.subject import Subject
from refutable.prompts.prompt_set import PromptSet

Array = NDArray[np.float64]
Attention = Literal["uniform", "own"]

D, HEADS, D_HEAD, VOCABULARY, LAYERS = 64, 4, 16, 64, 3
K = 32.0  # gelu(32) = silu(32) = 32 to 14 digits; act(0) = 0
SHARP = 40.0  # 40 * 40 / sqrt(16) = 400 more in the score: exp(-400), none of the weight, goes elsewhere
EMBEDDING_NORM, POST_NORM = 8.0, 64.0  # scales large enough to reach any vector drawn below


@dataclass(frozen=True)
class Kind:
    """Where a family keeps what is written, and what its architecture does of its own.

    Attributes:
        config: of the tiny model.
        norms: path of the norm that attention reads, and of the one that the MLP reads.
        query, key, value: paths of the projections, or all three the same path where they are fused.
        fused: how the rows of a fused matrix lie: "thirds" (all q, all k, all v) or "heads" (q, k, v of each head).
        output: path of attention's output matrix.
        gate, up, down: paths of the MLP's matrices; gate None where it is not gated.
        post: norms that the updates pass before they are added.
        one_plus: whether norms multiply by 1 + weight.
        embedding_norm: path of a norm that the embedding passes.
        embedding_scale: what the model multiplies the embedding by.
        parallel: whether the MLP reads the block's input.
        centring: whether norms take the mean off (LayerNorm).
        alibi: whether positions enter the scores, as a slope.
        eps: what norms add to the mean square, as in the configuration.
    """

    config: dict[str, Any]
    norms: tuple[str, str]
    query: str
    key: str
    value: str
    output: str
    up: str
    down: str
    gate: str | None = None
    fused: Literal["thirds", "heads"] | None = None
    post: tuple[str, str] | None = None
    one_plus: bool = False
    embedding_norm: str | None = None
    embedding_scale: float = 1.0
    parallel: bool = False
    centring: bool = True
    alibi: bool = False
    eps: float = 1e-5


_GPT = {
    "vocab_size": VOCABULARY,
    "n_embd": D,
    "n_layer": LAYERS,
    "n_head": HEADS,
    "n_positions": 64,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "layer_norm_epsilon": 1e-5,
}
_HF = {
    "vocab_size": VOCABULARY,
    "hidden_size": D,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
_NEOX = {"model_type": "gpt_neox", **_HF, "rotary_pct": 0.25, "layer_norm_eps": 1e-5}
_NEOX_PARTS: dict[str, Any] = {
    "norms": ("input_layernorm", "post_attention_layernorm"),
    **dict.fromkeys(("query", "key", "value"), "attention.query_key_value"),
    "fused": "heads",
    "output": "attention.dense",
    "up": "mlp.dense_h_to_4h",
    "down": "mlp.dense_4h_to_h",
}
_LLAMA_PARTS: dict[str, Any] = {
    **{part: f"self_attn.{part[0]}_proj" for part in ("query", "key", "value", "output")},
    **{part: f"mlp.{part}_proj" for part in ("gate", "up", "down")},
    "centring": False,
}
_BLOOM = {"model_type": "bloom", **{key: _HF[key] for key in ("vocab_size", "hidden_size", "tie_word_embeddings")}}
_GEMMA2 = {"model_type": "gemma2", **_HF, "num_key_value_heads": 2, "head_dim": D_HEAD, "sliding_window": 64}

KINDS: Mapping[str, Kind] = {
    "gpt2": Kind(
        {"model_type": "gpt2", **_GPT},
        norms=("ln_1", "ln_2"),
        **dict.fromkeys(("query", "key", "value"), "attn.c_attn"),
        fused="thirds",
        output="attn.c_proj",
        up="mlp.c_fc",
        down="mlp.c_proj",
    ),
    "gpt_neox-parallel": Kind({**_NEOX, "use_parallel_residual": True}, **_NEOX_PARTS, parallel=True),
    "gpt_neox-sequential": Kind({**_NEOX, "use_parallel_residual": False}, **_NEOX_PARTS),
    "gptj": Kind(
        {"model_type": "gptj", **_GPT, "rotary_dim": 4},
        norms=("ln_1", "ln_1"),
        query="attn.q_proj",
        key="attn.k_proj",
        value="attn.v_proj",
        output="attn.out_proj",
        up="mlp.fc_in",
        down="mlp.fc_out",
        parallel=True,
    ),
    "bloom": Kind(
        {**_BLOOM, "n_layer": LAYERS, "n_head": HEADS, "bos_token_id": 0, "eos_token_id": 0},
        **{
            key: "self_" + part if isinstance(part, str) and part.startswith("attention.") else part
            for key, part in _NEOX_PARTS.items()
        },
        embedding_norm="transformer.word_embeddings_layernorm",
        alibi=True,
    ),
    "llama": Kind(
        {"model_type": "llama", **_HF, "num_key_value_heads": 2, "rms_norm_eps": 1e-5},
        norms=("input_layernorm", "post_attention_layernorm"),
        **_LLAMA_PARTS,
    ),
    "gemma2": Kind(
        {**_GEMMA2, "query_pre_attn_scalar": D_HEAD, "rms_norm_eps": 1e-5},
        norms=("input_layernorm", "pre_feedforward_layernorm"),
        **_LLAMA_PARTS,
        post=("post_attention_layernorm", "post_feedforward_layernorm"),
        one_plus=True,
        embedding_scale=math.sqrt(D),
    ),
}


@dataclass(frozen=True)
class Targets:
    """The geometry of every token's trajectory; shapes are (tokens, LAYERS) unless said otherwise.

    All of it is of mean-centred vectors; means over the width come on top (LayerNorm families only).

    Attributes:
        radius: norm of the embedding, (tokens,).
        gain: norm of a block's output over that of its input.
        update: norm of the whole update over that of the block's input; between |gain - 1| and gain + 1.
        ratio: norm of the attention update over that of the MLP update.
        cosine: between the two updates; above -1.
        scales: learned scale of attention's norm and of the MLP's, (LAYERS, 2).
        means: mean over the width of the embedding's vector, one number.
        attention_mean, mlp_mean: of the updates.
    """

    radius: Array
    gain: Array
    update: Array
    ratio: Array
    cosine: Array
    scales: Array
    mean: float
    attention_mean: Array
    mlp_mean: Array

    @property
    def attention(self) -> Array:
        """Norm of the attention update over that of the block's input."""
        return self.ratio * self.mlp

    @property
    def mlp(self) -> Array:
        """The same of the MLP update: |a + m|^2 = |m|^2 (ratio^2 + 1 + 2 ratio cosine)."""
        return self.update / np.sqrt(self.ratio**2 + 1 + 2 * self.ratio * self.cosine)

    @property
    def against(self) -> Array:
        """Cosine between the whole update and the block's input: gain^2 = 1 + update^2 + 2 update cosine."""
        return (self.gain**2 - 1 - self.update**2) / (2 * self.update)

    @property
    def radii(self) -> Array:
        """Norms of the stream before each block and after the last, (tokens, LAYERS + 1)."""
        return np.cumprod(np.concatenate([self.radius[:, None], self.gain], axis=1), axis=1)

    @property
    def means(self) -> Array:
        """Means of the stream before each block and after the last, (tokens, LAYERS + 1)."""
        first = np.full((len(self.radius), 1), self.mean)
        return np.cumsum(np.concatenate([first, self.attention_mean + self.mlp_mean], axis=1), axis=1)


def scales(kind: Kind, t: Targets) -> Array:
    """Return the scales of both norms, (LAYERS, 2); where one norm serves both readers, twice the first's."""
    return t.scales[:, [0, 0]] if kind.norms[0] == kind.norms[1] else t.scales


def truth(kind: Kind, t: Targets, *, centred: bool) -> dict[str, Array]:
    """Return the closed form of each metric, (tokens, LAYERS) or (tokens,), from the targets alone."""
    r, out = t.radii[:, :-1], t.radii[:, 1:]
    a, m, p, q, o = t.attention * r, t.mlp * r, t.attention_mean, t.mlp_mean, t.means[:, :-1]
    # An update's angle to the stream: its share along the whole update, times that one's angle to the stream; the
    # rest of it is orthogonal to both.
    a_along = (t.attention + t.mlp * t.cosine) / t.update
    m_along = (t.mlp + t.attention * t.cosine) / t.update
    # Squared norms and inner products; a mean adds D times the product of the means, because the rest has none.
    of_mean = 0.0 if centred else float(D)
    xx, aa, mm = r**2 + of_mean * o**2, a**2 + of_mean * p**2, m**2 + of_mean * q**2
    yy = out**2 + of_mean * t.means[:, 1:] ** 2
    xa, xm = r * a * a_along * t.against + of_mean * o * p, r * m * m_along * t.against + of_mean * o * q
    am = a * m * t.cosine + of_mean * p * q
    whole = np.sqrt(aa + mm + 2 * am)
    read = r if kind.parallel else np.sqrt(r**2 + a**2 + 2 * r * a * a_along * t.against)
    if not kind.centring and t.mean:
        raise ValueError("an RMSNorm reads the mean; the closed forms have none there")
    # A norm turns a length s into c s / sqrt(s^2 / D + eps), without a mean of its own.
    a_input = scales(kind, t)[:, 0] * r / np.sqrt(r**2 / D + kind.eps)
    m_input = scales(kind, t)[:, 1] * read / np.sqrt(read**2 / D + kind.eps)
    return {
        "last_gain": np.sqrt(yy / xx)[:, -1],
        "layer_gain": np.sqrt(yy / xx),
        "total_amplification": np.sqrt(yy[:, -1] / yy[:, 0]),
        "residual_norm": np.sqrt(yy),
        "attention_gain": np.sqrt(aa) / a_input,
        "mlp_gain": np.sqrt(mm) / m_input,
        "attention_growth": np.sqrt(aa / xx),
        "mlp_growth": np.sqrt(mm / xx),
        "cos_attention_mlp": am / np.sqrt(aa * mm),
        "cos_attention_residual": xa / np.sqrt(xx * aa),
        "cos_mlp_residual": xm / np.sqrt(xx * mm),
        "cos_update_residual": (xa + xm) / (np.sqrt(xx) * whole),
        "cancellation_ratio": whole / (np.sqrt(aa) + np.sqrt(mm)),
    }


def entropy(kind: Kind, keys: int, attention: Attention) -> float:
    """Return the entropy of the last query's attention, in nats, mean over heads."""
    if attention == "own":
        return 0.0
    if not kind.alibi:
        return math.log(keys)
    # ALiBi adds slope * position to the scores: a geometric series, cut at the number of keys. With q = exp(slope),
    # log Z = log((q^T - 1) / (q - 1)) and the mean position is the derivative of log Z by the slope.
    entropies = []
    for head in range(1, HEADS + 1):
        slope = 2.0 ** (-8 * head / HEADS)
        log_z = math.log(math.expm1(keys * slope) / math.expm1(slope))
        position = keys / -math.expm1(-keys * slope) - 1 / -math.expm1(-slope)
        entropies.append(log_z - slope * position)
    return float(np.mean(entropies))


@dataclass(frozen=True)
class Vectors:
    """Vectors that have a geometry: `stream` (tokens, LAYERS + 1, D), `attention` and `mlp` (tokens, LAYERS, D)."""

    stream: Array
    attention: Array
    mlp: Array


def vectors(kind: Kind, t: Targets, seed: int) -> Vectors:
    """Choose vectors in directions drawn at random, all but the given means orthogonal to the mean direction."""
    rng = np.random.default_rng(seed)
    tokens = len(t.radius)
    ones = np.ones((D, 1)) / math.sqrt(D)
    stream, attention, mlp = np.zeros((tokens, LAYERS + 1, D)), *np.zeros((2, tokens, LAYERS, D))
    for token in range(tokens):
        start = _orthonormal(rng, ones)[:, 0]
        x = t.radius[token] * start  # centred
        stream[token, 0] = x + t.mean
        for layer in range(LAYERS):
            r = float(np.linalg.norm(x))
            basis = _orthonormal(rng, np.column_stack([ones[:, 0], x / r]))
            against = t.against[token, layer]
            along = against * x / r + math.sqrt(1 - against**2) * basis[:, 0]  # direction of the whole update
            aside = basis[:, 1]
            a, m = t.attention[token, layer] * r, t.mlp[token, layer] * r
            cosine, whole = t.cosine[token, layer], t.update[token, layer] * r
            a_along = (a + m * cosine) / whole
            height = a * math.sqrt(max(0.0, 1 - a_along**2))
            attention[token, layer] = a * a_along * along + height * aside + t.attention_mean[token, layer]
            mlp[token, layer] = (whole - a * a_along) * along - height * aside + t.mlp_mean[token, layer]
            x = x + whole * along
            stream[token, layer + 1] = x + t.means[token, layer + 1]
    return Vectors(stream, attention, mlp)


def _orthonormal(rng: np.random.Generator, besides: Array) -> Array:
    """Return two random orthonormal directions, (D, 2), orthogonal to the columns of `besides`."""
    drawn = np.column_stack([besides, rng.standard_normal((D, 2))])
    return np.linalg.qr(drawn)[0][:, -2:]


@dataclass(frozen=True)
class GivenTokens:
    """A tokenizer that knows the ids beforehand."""

    ids: tuple[tuple[int, ...], ...]

    def encode(self, prompts: PromptSet) -> list[list[int]]:
        return [list(one) for one in self.ids]

    def decode(self, token: int) -> str:
        return f"<{token}>"


def build(
    name: str,
    t: Targets,
    v: Vectors,
    ids: tuple[tuple[int, ...], ...],
    *,
    attention: Attention = "uniform",
    dtype: str = "float32",
) -> LoadedModel:
    """Return a model of a kind that moves token i along the i-th trajectory, and reads prompts of these ids."""
    kind, variant = KINDS[name], Variant(KINDS[name].config)
    network = copy.deepcopy(_drawn(name)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        _write_embedding(network, kind, t, v)
        row = row_of(variant, name)
        for layer, block in enumerate(network.get_submodule(row.architecture.blocks)):
            _write_block(block, kind, t, v, layer, attention)
    subject = Subject(name, "init", dtype=dtype)
    tokenizer = GivenTokens(ids)
    network = network.to(getattr(torch, dtype))
    return LoadedModel(row, subject, source_of(variant), network, tokenizer, network.config._attn_implementation)


@cache
def _drawn(name: str) -> Any:
    row = row_of(Variant(KINDS[name].config), name)
    register()
    eager = row.architecture.attention_implementation == "eager"
    return draw(KINDS[name].config, Subject(name, "init"), "eager" if eager else REGISTERED).eval()


def _write_embedding(network: Any, kind: Kind, t: Targets, v: Vectors) -> None:
    wanted = v.stream[:, 0]
    if kind.embedding_norm is not None:
        wanted = _before_norm(wanted - t.mean, EMBEDDING_NORM, kind)
        norm = network.get_submodule(kind.embedding_norm)
        norm.weight.fill_(EMBEDDING_NORM)
        norm.bias.fill_(t.mean)
    network.get_input_embeddings().weight[: len(wanted)] = torch.from_numpy(wanted / kind.embedding_scale)


def _write_block(block: Any, kind: Kind, t: Targets, v: Vectors, layer: int, attention: Attention) -> None:
    a, m, x = v.attention[:, layer], v.mlp[:, layer], v.stream[:, layer]  # (tokens, D)
    tokens = len(x)
    read = (x, x) if kind.parallel else (x, x + a)
    marks = [
        np.linalg.pinv(_normed(s, c, kind).T) for s, c in zip(read, scales(kind, t)[layer], strict=True)
    ]  # (tokens, D)
    for path, scale in zip(kind.norms, scales(kind, t)[layer], strict=True):
        block.get_submodule(path).weight.fill_(scale - kind.one_plus)
    if kind.post is not None:
        a, m = (_before_norm(update, POST_NORM, kind) for update in (a, m))
        for path in kind.post:
            block.get_submodule(path).weight.fill_(POST_NORM - kind.one_plus)
    value_heads = 2 if kind.config.get("num_key_value_heads") else HEADS
    values = np.zeros((value_heads, D_HEAD, D))
    values[0, :tokens] = marks[0]
    queries, keys = np.zeros((HEADS, D_HEAD, D)), np.zeros((value_heads, D_HEAD, D))
    if attention == "own":
        # Dimensions D_HEAD / 2 + t are turned by no rotary embedding in part, and each in a plane of its own in full.
        here = slice(D_HEAD // 2, D_HEAD // 2 + tokens)
        queries[:, here], keys[:, here] = SHARP * marks[0], SHARP * marks[0]
    _write_projections(block, kind, queries, keys, values)
    output = np.zeros((D, HEADS * D_HEAD))
    output[:, :tokens] = a.T
    _put(block, kind.output, output)
    _put(block, kind.up, (1.0 if kind.gate else K) * marks[1])
    if kind.gate is not None:
        _put(block, kind.gate, K * marks[1])
    _put(block, kind.down, m.T / K)


def _write_projections(block: Any, kind: Kind, queries: Array, keys: Array, values: Array) -> None:
    if kind.fused is None:
        for path, matrix in ((kind.query, queries), (kind.key, keys), (kind.value, values)):
            _put(block, path, matrix.reshape(-1, D))
        return
    stacked = np.stack([queries, keys, values], axis=0 if kind.fused == "thirds" else 1)
    _put(block, kind.value, stacked.reshape(-1, D))


def _put(block: Any, path: str, matrix: Array) -> None:
    """Write a matrix (out, in) into the corner of a module's; GPT-2's Conv1D keeps it the other way round."""
    module = block.get_submodule(path)
    weight = module.weight.T if type(module).__name__ == "Conv1D" else module.weight
    weight[: matrix.shape[0], : matrix.shape[1]] = torch.from_numpy(matrix)


def _normed(x: Array, scale: float, kind: Kind) -> Array:
    """Apply a norm with this learned scale."""
    x = x - x.mean(axis=-1, keepdims=True) if kind.centring else x
    result: Array = scale * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + kind.eps)
    return result


def _before_norm(wanted: Array, scale: float, kind: Kind) -> Array:
    """Undo a norm: of y = scale u / sqrt(ms(u) + eps), return u. With s = ms(y) / scale^2, ms(u) = eps s / (1 - s)."""
    s = (wanted**2).mean(axis=-1, keepdims=True) / scale**2
    if not (s < 1).all():
        raise ValueError("a norm of this scale cannot give so long a vector")
    result: Array = wanted / scale * np.sqrt(kind.eps / (1 - s))
    return result
