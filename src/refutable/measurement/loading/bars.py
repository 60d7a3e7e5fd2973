"""Tasks in the place of transformers' progress bars, which count tensors and write to standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from refutable._util.progress import BYTES, task

_LOADING = "Loading weights"  # what transformers calls the loop over a model's parameters


@contextmanager
def loading_told(sizes: Mapping[str, int]) -> Iterator[None]:
    """Tell how many bytes transformers has read of a model, where it lets its bars be replaced.

    Args:
        sizes: bytes of each tensor by the name it is stored under; one of another name counts as their mean.
    """
    from transformers.utils import logging as hf_logging

    mean = sum(sizes.values()) / max(len(sizes), 1)

    def bar(factory: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if not given or named.get("desc") != _LOADING:
            return factory(*given, **named)
        return _told(given[0], lambda item: sizes.get(item[0], mean), sum(sizes.values()))

    replace = getattr(hf_logging, "set_tqdm_hook", None)
    before = replace(bar) if replace is not None else None
    try:
        yield
    finally:
        if replace is not None:
            replace(before)


@contextmanager
def dequantising_told(total: int) -> Iterator[None]:
    """Tell how many bytes of a GGUF file's tensors transformers has unpacked; its bar there has no other handle."""
    from transformers import modeling_gguf_pytorch_utils as module

    before = getattr(module, "tqdm", None)
    if before is not None:
        module.tqdm = lambda tensors, **_: _told(tensors, lambda tensor: float(getattr(tensor, "n_bytes", 0)), total)
    try:
        yield
    finally:
        if before is not None:
            module.tqdm = before


def _told(items: Iterable[Any], size: Callable[[Any], float], total: float) -> Iterator[Any]:
    with task("", total, BYTES) as looping:
        for item in items:
            yield item
            looping.advance(size(item))
