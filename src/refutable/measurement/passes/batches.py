"""The prompts of a pass: their token ids, and one batch of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from refutable._util.progress import task
from refutable.errors import BadInput, InstrumentError, NotMeasured
from refutable.measurement.instrument.batching import depends_on_company, switch_lengths
from refutable.measurement.instrument.cutting import LIMIT, OVERHEAD, cut_batches
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.tokens import check_lengths
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import Bos

Result = TypeVar("Result")


def token_ids(model: LoadedModel, prompts: PromptSet, bos: Bos = "default") -> list[list[int]]:
    """Return the token ids of each prompt, which begin as `bos` says.

    Raises:
        InstrumentError: the tokenizer returns no token for a prompt.
        NotMeasured: there is no beginning-of-sequence token, or a prompt is longer than the model can read.
    """
    try:
        ids = model.tokenizer.encode(prompts) if bos == "default" else model.tokenizer.encode(prompts, bos)
    except BadInput as error:
        raise BadInput(f"{model.row.name}: {error}") from None
    empty = [number for number, tokens in enumerate(ids) if not tokens]
    if empty:
        more = f" and of {len(empty) - 1} more" if empty[1:] else ""
        raise InstrumentError(
            f"{model.row.name}: its tokenizer makes no token of {prompts.called(empty[0])}{more}; give prompts in"
            " letters that it knows (--prompts), or the tokenizer that belongs to the weights"
        )
    check_lengths(model.row.name, model.config, ids, prompts)
    return ids


def run_in_batches(
    model: LoadedModel, ids: list[list[int]], run: Callable[[Sequence[int]], Result]
) -> tuple[list[Result], int]:
    """Call `run` with the prompt indices of each batch; when memory runs out, halve the batches and start over.

    Returns:
        The result of each batch, and how often the batches were halved.

    Raises:
        torch.OutOfMemoryError: not even one prompt fits.
    """
    limit, halvings = 1 if depends_on_company(model.network) else LIMIT.get(model.device.type, 8192), 0
    overhead = OVERHEAD.get(model.device.type, 512)
    lengths = [len(tokens) for tokens in ids]
    while True:
        cuts = cut_batches(lengths, overhead=overhead, limit=limit, switches=switch_lengths(model.network))
        try:
            return [run(cut) for cut in _told(cuts, lengths, overhead)], halvings
        except torch.OutOfMemoryError:
            if max(map(len, cuts)) == 1:
                raise
        largest = max(len(cut) * max(lengths[i] for i in cut) for cut in cuts)
        limit, halvings = min(limit, largest) // 2, halvings + 1
        torch.cuda.empty_cache()


def _told(cuts: Sequence[Sequence[int]], lengths: Sequence[int], overhead: int) -> Iterator[Sequence[int]]:
    """Yield each batch, and tell how many prompts are done and how much work that is: padded tokens and passes."""
    costs = [len(cut) * max(lengths[i] for i in cut) + overhead for cut in cuts]
    with task("", sum(map(len, cuts)), "prompts") as running:
        for number, cut in enumerate(cuts):
            running.share, running.step = sum(costs[:number]) / sum(costs), costs[number] / sum(costs)
            running.part = 0.0
            yield cut
            running.advance(len(cut))


def check_tokens(model: LoadedModel, lengths: Sequence[int], least: int, what: str) -> None:
    """Raise NotMeasured if a prompt has fewer than `least` tokens, which `what` needs."""
    if min(lengths) < least:
        raise NotMeasured(f"{model.row.name}: a prompt has {min(lengths)} tokens, and {what} {least}; leave it out")
