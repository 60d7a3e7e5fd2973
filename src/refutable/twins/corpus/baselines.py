"""What a twin's loss is held against: a unigram model and a 5-gram model with modified Kneser-Ney smoothing.

Both give every token of the vocabulary a probability, and these sum to one after any history (tests/experiment). The
highest order counts occurrences, the lower ones in how many contexts a token occurs; three discounts an order, from the
numbers of n-grams seen once to four times (Chen and Goodman 1999), and what they take is spread by the order below, the
lowest over the vocabulary evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ORDER = 5
Keys = np.ndarray  # uint64, an n-gram packed, its last token lowest


def unigram_loss(train: np.ndarray, held_out: np.ndarray, vocabulary: int) -> float:
    """Return the mean loss in nats a token of the unigram model, each count raised by one."""
    counts = np.bincount(train, minlength=vocabulary) + 1.0
    return float(-np.log(counts / counts.sum())[held_out].mean())


@dataclass(frozen=True, slots=True)
class _Order:
    """One order: discounted probability of each seen n-gram, and what each history leaves to the order below."""

    grams: Keys
    share: np.ndarray
    histories: Keys
    left: np.ndarray


class KneserNey:
    """An interpolated n-gram model with modified Kneser-Ney smoothing."""

    def __init__(self, train: np.ndarray, vocabulary: int, order: int = ORDER) -> None:
        self.bits, self.vocabulary, self.order = max(1, (vocabulary - 1).bit_length()), vocabulary, order
        if order * self.bits > 64:
            raise ValueError(f"{order} tokens of {self.bits} bits do not fit into 64")
        grams, counts = np.unique(self._packed(train, order), return_counts=True)
        orders = [self._smoothed(grams, counts.astype(np.float64))]
        for length in range(order - 1, 0, -1):  # in how many contexts: the distinct n-grams less their first token
            grams, counts = np.unique(grams & np.uint64((1 << (length * self.bits)) - 1), return_counts=True)
            orders.append(self._smoothed(grams, counts.astype(np.float64)))
        self._orders = orders[::-1]  # from one token up

    def probabilities(self, grams: Keys) -> np.ndarray:
        """Return the probability of each packed n-gram's last token after the tokens before it: shape (n,)."""
        result = np.full(len(grams), 1 / self.vocabulary)
        for length, one in enumerate(self._orders, start=1):
            cut = grams & np.uint64((1 << (length * self.bits)) - 1) if length * self.bits < 64 else grams
            share = _looked_up(one.grams, one.share, cut, 0.0)
            left = _looked_up(one.histories, one.left, cut >> np.uint64(self.bits), 1.0)
            result = share + left * result
        return result

    def loss(self, held_out: np.ndarray) -> float:
        """Return the mean loss in nats a token, of all but the first `order` - 1 tokens."""
        return float(-np.log(self.probabilities(self._packed(held_out, self.order))).mean())

    def _packed(self, tokens: np.ndarray, length: int) -> Keys:
        wide, count = tokens.astype(np.uint64), len(tokens) - length + 1
        packed = np.zeros(count, np.uint64)
        for i in range(length):
            packed = (packed << np.uint64(self.bits)) | wide[i : i + count]
        return packed

    def _smoothed(self, grams: Keys, counts: np.ndarray) -> _Order:
        discounts = _discounts(counts)[np.minimum(counts, 3).astype(int) - 1]
        histories, starts = np.unique(grams >> np.uint64(self.bits), return_index=True)
        totals = np.add.reduceat(counts, starts)
        left = np.add.reduceat(discounts, starts) / totals
        lengths = np.diff([*starts, len(grams)])
        return _Order(grams, (counts - discounts) / np.repeat(totals, lengths), histories, left)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Return the discounts of n-grams seen once, twice, and more often, each between 0 and the count."""
    n1, n2, n3, n4 = ((counts == k).sum() for k in (1, 2, 3, 4))
    if not min(n1, n2, n3, n4):
        return np.array([0.5, 0.75, 0.9])
    y = n1 / (n1 + 2 * n2)
    discounts = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    clipped: np.ndarray = np.clip(discounts, 0.05, np.array([0.95, 1.95, 2.95]))
    return clipped


def _looked_up(keys: Keys, values: np.ndarray, asked: Keys, otherwise: float) -> np.ndarray:
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[at] == asked, values[at], otherwise)
