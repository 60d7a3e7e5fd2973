"""Writes tiny GGUF files of the Llama architecture, whole or with a fault, by the gguf package itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(
    path: Path,
    network: Any,
    *,
    drop: Collection[str] = (),
    add: Mapping[str, NDArray[np.float32]] = {},
    header: Mapping[str, Any] = {},
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
) -> Path:
    """Write a Llama network.

    Args:
        path: the file.
        network: as transformers has it.
        drop: names of tensors that are left out.
        add: tensors besides its own.
        header: values that are written instead of the network's own, or besides them.
        kind: how matrices whose width allows it are stored.
    """
    config = network.config
    own = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.dimension_count": config.hidden_size // config.num_attention_heads,
        "rope.freq_base": float(config.rope_parameters["rope_theta"]),
        "vocab_size": config.vocab_size,
    }
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    for key, value in {**own, **header}.items():
        write = {float: writer.add_float32, str: writer.add_string}.get(type(value), writer.add_uint32)
        write(f"llama.{key}", value)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*(chr(33 + i) for i in range(config.vocab_size - 2)), "!!", "##"])
    writer.add_token_types([1] * config.vocab_size)
    writer.add_token_merges(["! !", "# #"])  # of one alone, transformers 5.17 makes a word
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, tensor in _tensors(network).items():
        if name not in drop:
            plain = tensor.ndim == 1 or tensor.shape[-1] % 32
            writer.add_tensor(name, tensor if plain else gguf.quantize(tensor, kind), raw_dtype=None if plain else kind)
    for name, tensor in add.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tensors(network: Any) -> dict[str, NDArray[np.float32]]:
    config, found = network.config, {}
    for name, parameter in network.named_parameters():
        stem, _, suffix = name.rpartition(".")
        block = ""
        if stem.startswith("model.layers."):
            _, _, number, stem = stem.split(".", 3)
            block = f"blk.{number}."
        tensor = parameter.detach().float().numpy()
        heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}
        if stem in heads:  # llama.cpp turns pairs that lie beside each other
            n = heads[stem]
            tensor = tensor.reshape(n, 2, -1, tensor.shape[1]).swapaxes(1, 2).reshape(tensor.shape)
        found[f"{block}{_NAMES[stem]}.{suffix}"] = np.ascontiguousarray(tensor)
    return found
