"""The rows that need no other library: the notebook's loop, the bare pass, and this project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import entropy
from transformers.activations import ACT2FN, GELUTanh

from benchmarks.workload import Workload, pad
from refutable.measurement.instrument.taps import BlockReader
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.batches import run_in_batches
from refutable.measurement.passes.forward import run_batch, run_pass

Gains = NDArray[np.float64]
T = TypeVar("T")
LOOP_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One way of running the prompts.

    Attributes:
        name: its name in the table.
        run: runs the prompts once; returns the last gain of each, or None if it reads none.
        scale: factor on the seconds: the number of all prompts over the number run.
    """

    name: str
    run: Callable[[], Gains | None]
    scale: float = 1.0


class Activations:
    """The activations that transformers gives a network, where this project replaced them with fused ones."""

    def __init__(self, network: Any) -> None:
        name = getattr(network.config, "hidden_act", None) or getattr(network.config, "activation_function", "")
        self._swaps = [
            (module._modules, key, child, ACT2FN[name])
            for module in network.modules()
            for key, child in module.named_children()
            if type(child) is GELUTanh and name in ("gelu_new", "gelu_fast")
        ]

    def used(self, run: Callable[[], T]) -> Callable[[], T]:
        """Return the same run, made with transformers' own activations."""

        def with_them() -> T:
            for modules, key, _, theirs in self._swaps:
                modules[key] = theirs
            try:
                return run()
            finally:
                for modules, key, ours, _ in self._swaps:
                    modules[key] = ours

        return with_them


def own_rows(work: Workload) -> dict[str, Row]:
    """Return the rows by key; the others are compared with ``loop`` and ``bare``."""
    some = work.ids[:LOOP_LIMIT]
    stock = Activations(work.model.network)
    scaled = f", {len(some)} prompts, scaled" if len(some) < len(work.ids) else ""
    every = [list(range(len(work.ids)))]
    return {
        "loop": Row(
            f"the notebook's loop{scaled}",
            stock.used(lambda: loop_of_notebook(work.model, some)),
            len(work.ids) / len(some),
        ),
        "bare": Row("bare forward, one padded batch", stock.used(lambda: bare_pass(work.model, work.ids, every))),
        "buckets": Row("bare forward, length buckets", stock.used(lambda: bare_pass(work.model, work.ids, work.cuts))),
        "pass": Row("refutable: the pass, numbers on the host", lambda: measured_part(work)),
        "run_pass": Row("refutable: tokenise, the pass, tables", lambda: whole_pass(work)),
    }


def loop_of_notebook(model: LoadedModel, ids: Sequence[Sequence[int]]) -> Gains:
    """Measure like cell 4 of the documents' notebook: one prompt at a time, and one hook and transfer per layer.

    As in the notebook, the norm is taken in the model's dtype. As in every row but the last, tokenising is left out.
    """
    return np.array([_measure_thermodynamics(model, one) for one in ids])


def _measure_thermodynamics(model: LoadedModel, ids: Sequence[int]) -> float:
    inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
    norms: list[float] = []

    def hook(module: torch.nn.Module, args: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        norms.append(float(torch.norm(hidden[0, -1]).cpu().item()))

    handles = [block.register_forward_hook(hook) for block in model.blocks()]
    with torch.no_grad():
        logits = model.network(**inputs).logits
    for handle in handles:
        handle.remove()
    last = logits[0, -1, :].float()
    probabilities = np.clip(torch.softmax(last, dim=0).cpu().numpy().astype(np.float64), 1e-10, 1.0)
    float(entropy(probabilities / probabilities.sum()))
    model.tokenizer.decode(int(torch.argmax(last).item()))
    return norms[-1] / norms[-2]


@torch.inference_mode()
def bare_pass(model: LoadedModel, ids: Sequence[Sequence[int]], cuts: Sequence[Sequence[int]]) -> None:
    """Run the model without hooks, one padded batch at a time, with its head on each prompt's last token only."""
    for cut in cuts:
        tokens, mask, last = pad([ids[i] for i in cut], model.device)
        states = model.network.base_model(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
        model.network.get_output_embeddings()(states[torch.arange(len(cut), device=states.device), last])


def measured_part(work: Workload) -> None:
    """Measure all primitives at all layers and positions and transfer them to the host; no tokenising, no tables."""
    model = work.model
    additive = model.family.is_additive(model.config.to_dict())
    readers = [BlockReader(block, model.family, additive=additive, scale=model.scale) for block in model.blocks()]
    for batch in run_in_batches(model, work.ids, lambda cut: run_batch(model, readers, work.ids, cut))[0]:
        batch.fetch()


def whole_pass(work: Workload) -> Gains:
    """Measure as a run does for a claim, from the prompts' texts to the tables of a trace."""
    about = {"model": work.model.row.name, "dtype": work.model.subject.dtype}
    view = run_pass(work.model, work.prompts, "benchmark", about).view("last", centred=False)
    gains: Gains = (view.norm("block_output") / view.norm("block_input"))[:, -1]
    return gains
