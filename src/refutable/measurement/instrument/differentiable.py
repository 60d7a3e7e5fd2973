"""Temporarily replaces a model's operations with forms that torch can differentiate."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from refutable.errors import NoSuchTap
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.packed import has_packed


@contextmanager
def differentiable(model: LoadedModel) -> Iterator[None]:
    """Run attention, experts and activations in forms that torch can differentiate.

    Only `torch.func` records anything for a backward pass.

    Raises:
        NoSuchTap: an operation of this model has no derivative.
    """
    check_differentiable(model)
    config = model.config
    experts = getattr(config, "_experts_implementation", None)
    if experts is not None:
        config._experts_implementation = "eager"
    plain = _plain_activations(model)
    try:
        with warnings.catch_warnings(), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)  # raised by torch's own formulas
            yield
    except NotImplementedError as error:
        what = str(error).splitlines()[0]
        raise NoSuchTap(f"{model.row.name}: an operation of its blocks has no derivative here ({what})") from None
    finally:
        if experts is not None:
            config._experts_implementation = experts
        for module in plain:
            del module.forward


def check_differentiable(model: LoadedModel) -> None:
    """Refuse a model whose packed weights have a derivative that is dropped or only stood in for.

    Raises:
        NoSuchTap: it has some.
    """
    if has_packed(model.network):
        raise NoSuchTap(
            f"{model.row.name}: its weights are packed in a few bits, and no derivative is taken through them"
        )


def _plain_activations(model: LoadedModel) -> list[torch.nn.Module]:
    """Replace BLOOM's activation, whose hand-written backward pass has no forward mode, with its plain formula."""
    found = [module for module in model.network.modules() if type(module).__name__ == "BloomGelu"]
    if found:
        from transformers.models.bloom.modeling_bloom import bloom_gelu_forward

        for module in found:
            module.forward = bloom_gelu_forward
    return found
