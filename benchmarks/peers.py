"""The rows of other libraries, TransformerLens' bridge and nnsight, batched by hand into this project's buckets.

Each reads the four stream vectors at every block and position and transfers norms and inner products to the host, which
is less than this project keeps (no sublayer inputs, no centred norms, no attention entropy).
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from benchmarks.rows import Gains, Row
from benchmarks.workload import Workload, pad
from refutable.measurement.instrument.taps import first_tensor

PEERS = {"transformer_lens": "TransformerLens", "nnsight": "nnsight"}
_KINDS = ("hook_resid_pre", "hook_resid_post", "hook_attn_out", "hook_mlp_out")


def peer_rows(work: Workload) -> Iterator[tuple[str, Row | str]]:
    """Yield each library's title with its row, or with the reason there is none."""
    for module, make in (("transformer_lens", _bridge), ("nnsight", _nnsight)):
        title = PEERS[module]
        if find_spec(module) is None:
            yield title, "not installed"
            continue
        title = f"{title} {metadata.version(module.replace('_', '-'))}"
        try:
            run = make(work)
            run()
        except Exception as error:  # a library that cannot run this model is a finding, not a fault
            yield title, f"cannot: {type(error).__name__}: {error}"[:90]
        else:
            yield title, Row(f"{title}, length buckets", run)


def _bridge(work: Workload) -> Any:
    sources = importlib.import_module("transformer_lens.model_bridge.sources")
    network = work.copy().network
    bridge = sources.build_bridge_from_module(network, type(network).__name__, hf_config=network.config)
    layers = range(len(work.model.blocks()))
    names = {f"blocks.{layer}.{kind}" for layer in layers for kind in _KINDS}

    def run_batch(tokens: torch.Tensor, mask: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        _, cache = bridge.run_with_cache(
            tokens, attention_mask=mask, return_cache_object=False, names_filter=names.__contains__, **_head(work, last)
        )
        return torch.stack([_reduce(*(cache[f"blocks.{layer}.{kind}"] for kind in _KINDS)) for layer in layers])

    return functools.partial(_run, work, run_batch)


def _nnsight(work: Workload) -> Any:
    nnsight = importlib.import_module("nnsight")
    family, layers = work.model.family, len(work.model.blocks())
    model = nnsight.NNsight(work.copy().network)
    blocks = _at(model, family.blocks)

    def run_batch(tokens: torch.Tensor, mask: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        head = _head(work, last)
        with model.trace(input_ids=tokens, attention_mask=mask, use_cache=False, **head):
            reduced = nnsight.save([])
            for layer in range(layers):  # in the order of the pass, as nnsight demands
                block = blocks[layer]
                x = block.input
                a = first_tensor(_at(block, family.attention_update).output)
                m = first_tensor(_at(block, family.mlp_update).output).clone()  # Falcon adds to it in place
                y = first_tensor(block.output)
                reduced.append(_reduce(x, y, a, m))
        return torch.stack(reduced)

    return functools.partial(_run, work, run_batch)


@torch.inference_mode()
def _run(work: Workload, run_batch: Any) -> Gains:
    gains = np.full(len(work.ids), np.nan)
    left = []
    for cut in work.cuts:
        tokens, mask, last = pad([work.ids[i] for i in cut], work.model.device)
        left.append((cut, last, run_batch(tokens, mask, last)))
    for cut, last, reduced in left:
        norms = reduced.cpu().double().numpy()[-1]  # (B, T, numbers) of the last block
        at_last = norms[np.arange(len(cut)), last.cpu().numpy()]
        gains[cut] = at_last[:, 1] / at_last[:, 0]
    return gains


def _reduce(x: torch.Tensor, y: torch.Tensor, a: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    """Return norms of stream and updates and their inner products, float32, shape (B, T, 8)."""
    x, y, a, m = (vector.reshape(x.shape).float() for vector in (x, y, a, m))
    norms = [torch.linalg.vector_norm(vector, dim=-1) for vector in (x, y, a, m)]
    return torch.stack([*norms, *((p * q).sum(dim=-1) for p, q in ((x, a), (x, m), (a, m), (x, y)))], dim=-1)


def _head(work: Workload, last: torch.Tensor) -> dict[str, Any]:
    """Return the arguments that spare a model's head the positions nobody reads: libraries run the whole class."""
    takes = "logits_to_keep" in inspect.signature(work.model.network.forward).parameters
    return {"logits_to_keep": torch.unique(last)} if takes else {}


def _at(module: Any, path: str) -> Any:
    return functools.reduce(getattr, path.split("."), module)
