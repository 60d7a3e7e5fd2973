"""A model object that is somebody else's: made ready to be measured, and put back exactly as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def borrowed(network: torch.nn.Module, attention: str) -> Iterator[None]:
    """Run a model in evaluation mode, with attention that can be seen and no output but the logits; then undo it.

    Put back, also when something is raised inside: every attribute of its modules and configurations, and what of them
    is a dictionary (hooks, buffers, submodules) by its content; whether each parameter takes gradients. Hooks that the
    caller has put on stay on, and what they do is measured. Weights are never written.

    Args:
        network: a causal language model of transformers.
        attention: the attention implementation under which its probabilities are seen.
    """
    configs = list(_configs(network))
    undo = [_kept(one) for one in (*network.modules(), *configs)]
    gradients = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    try:
        for config in configs:
            config._attn_implementation = attention
            config.output_attentions = config.output_hidden_states = config.use_cache = False
            config.return_dict = True
        network.eval()
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for put_back in undo:
            put_back()
        for parameter, required in gradients:
            parameter.requires_grad_(required)


def _configs(network: torch.nn.Module) -> Iterator[Any]:
    """Yield every configuration that a module of the network holds, and those inside of them, each once."""
    waiting = [getattr(module, "config", None) for module in network.modules()]
    seen: set[int] = set()
    while waiting:
        config = waiting.pop()
        if id(config) in seen or not hasattr(config, "_attn_implementation"):
            continue
        seen.add(id(config))
        waiting += vars(config).values()
        yield config


def _kept(thing: object) -> Callable[[], None]:
    """Return what puts a thing's attributes back as they are now; its dictionaries stay the same objects."""
    attributes = vars(thing)
    was = dict(attributes)
    inside = [(table, dict(table)) for table in was.values() if isinstance(table, dict)]

    def put_back() -> None:
        for table, content in (*inside, (attributes, was)):
            table.clear()
            table.update(content)

    return put_back
