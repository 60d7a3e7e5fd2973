"""A trace: two tidy tables of primitives from one pass, and what they were made of. No tensors.

``blocks`` has one row for each (prompt, position, layer), in that order, layers counted from 1; ``prompts`` one row for
each prompt. Norms, means and inner products are float32, reduced on the device; entropies in nats. What was not
measured is null, never zero.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refutable._util import extras
from refutable.errors import InstrumentError, NonFiniteError, NoSuchTap
from refutable.traces.passes import LAST_TOKEN, First

if TYPE_CHECKING:
    import pandas as pd

PRIMITIVES_VERSION = 4
FIRST_IS_BOS = "the tokenizer's BOS"
LAST_ONLY = "it is read at the last token only"
NOT_OF_A_MATRIX = "it is of one token, and a whole prompt has norms and inner products only"

Token = Literal["last", "all", "first"]
Position = Literal[Token, "whole"]
FIRST_TOKEN: Mapping[Position, First] = {"all": "without", "whole": "with"}  # unless a claim says otherwise
Tap = Literal["block_input", "block_output", "attention_update", "mlp_update", "attention_input", "mlp_input"]
STREAM_TAPS: tuple[Tap, ...] = ("block_input", "block_output", "attention_update", "mlp_update")
INPUT_TAPS: tuple[Tap, ...] = ("attention_input", "mlp_input")
UPDATE_TAPS: tuple[Tap, ...] = ("attention_update", "mlp_update")
PRODUCTS: tuple[tuple[Tap, Tap], ...] = (
    ("block_input", "attention_update"),
    ("block_input", "mlp_update"),
    ("attention_update", "mlp_update"),
    ("block_input", "block_output"),
)


def norm_column(tap: Tap) -> str:
    """Column of the Euclidean norm at a tap."""
    return f"norm.{tap}"


def centred_norm_column(tap: Tap) -> str:
    """Column of the norm after the mean over the width is taken off."""
    return f"centred_norm.{tap}"


def mean_column(tap: Tap) -> str:
    """Column of the mean over the width."""
    return f"mean.{tap}"


def product_column(a: Tap, b: Tap) -> str:
    """Column of an inner product."""
    return f"dot.{a}.{b}"


def centred_product_column(a: Tap, b: Tap) -> str:
    """Column of the inner product after the means are taken off: raw less the means' part would lose its digits."""
    return f"centred_dot.{a}.{b}"


CLOSURE_COLUMN = "closure_residual"
HEAD_INPUT_COLUMN, CENTRED_HEAD_INPUT_COLUMN = "norm.head_input", "centred_norm.head_input"  # of the table of prompts
ENTROPY_COLUMN = "attention_entropy"
KEYS_COLUMN = "visible_keys"
PRIMITIVE_COLUMNS: tuple[str, ...] = (
    *(norm_column(tap) for tap in (*STREAM_TAPS, *INPUT_TAPS)),
    *(centred_norm_column(tap) for tap in (*STREAM_TAPS, *INPUT_TAPS)),
    *(mean_column(tap) for tap in STREAM_TAPS),
    *(product_column(a, b) for a, b in PRODUCTS),
    *(centred_product_column(a, b) for a, b in PRODUCTS),
    CLOSURE_COLUMN,
    ENTROPY_COLUMN,
    KEYS_COLUMN,
)


@dataclass(frozen=True, slots=True)
class Trace:
    """What one pass left.

    Attributes:
        key: its address in the store.
        meta: what it was made of: model, weights, dtype, device, versions, closure. Plain JSON values.
        blocks: the table of (prompt, position, layer).
        prompts: the table of prompts.
        derived: what was computed from it before, by what determines it; `metrics.evaluate` keeps its samples here.
    """

    key: str
    meta: Mapping[str, Any]
    blocks: pa.Table
    prompts: pa.Table
    derived: dict[Hashable, Any] = field(init=False, default_factory=dict, compare=False, repr=False)

    def view(self, position: Position, *, centred: bool, first_token: First | None = None) -> View:
        """Return the primitives at some positions, as metrics read them.

        `first_token` says whether the first is among them, where that is not as `FIRST_TOKEN` or the pass has it.
        """
        if self.meta.get("positions") == LAST_TOKEN and position != "last":
            raise NoSuchTap(f"the pass {self.meta['pass']!r} reads the last token only, not {position!r}")
        asked = "view", position, centred, first_token
        if asked not in self.derived:
            self.derived[asked] = self._view(position, centred, first_token)
        view: View = self.derived[asked]
        return view

    def _view(self, position: Position, centred: bool, first_token: First | None) -> View:
        layers = int(self.meta["layers"])
        where = self.blocks["position"].to_numpy()[::layers]
        prompt = self.prompt_of_tokens()
        length = self.prompts["tokens"].to_numpy()[prompt]
        counted = where >= (0 if (first_token or FIRST_TOKEN.get(position)) == "with" else 1)
        match position:
            case "last":
                rows = where == length - 1
            case "first":
                rows = where == 0
            case "all":
                rows = counted
            case "whole":
                return View(self, position, counted, np.unique(prompt[counted]), layers, centred, first_token)
        return View(self, position, rows, prompt[rows], layers, centred, first_token)

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of blocks as a tidy frame: `prompt`, `layer`, `position`, `text`, and every primitive.

        What was not measured is missing, never zero.

        Raises:
            BadInput: pandas is not installed.
        """
        extras.pandas()
        frame: pd.DataFrame = self.blocks.to_pandas()
        prompts = self.prompts.select(["text"]).to_pandas()
        return frame.join(prompts, on="prompt")

    def prompt_of_tokens(self) -> NDArray[np.int64]:
        """Return the index of the prompt of each (prompt, position), shape (tokens,); a prompt's follow each other."""
        found: NDArray[np.int64] = self.blocks["prompt"].to_numpy()[:: int(self.meta["layers"])]
        return found

    def __len__(self) -> int:
        return int(self.prompts.num_rows)


@dataclass(frozen=True, slots=True)
class View:
    """Primitives at chosen positions; each is an array of shape (rows, layers), in float64.

    Of ``whole`` a row is a prompt, as the matrix of all its tokens, the first among them unless said: its norm is
    Frobenius's, and the inner product of two is the sum of their tokens'.

    Attributes:
        trace: where they come from.
        position: which positions these are.
        rows: which (prompt, position) pairs are in, shape (pairs,).
        prompt: index of the prompt of each row, shape (rows,).
        layers: number of blocks.
        centred: whether norms and products are those of the mean-centred vectors.
        first_token: whether the first token counts, where that is not the default of the position or the pass.
        only: index of the one layer that will be read, so that NaN elsewhere is no fault; None for any of them.
    """

    trace: Trace
    position: Position | Literal["token"]
    rows: NDArray[np.bool_]
    prompt: NDArray[np.int64]
    layers: int
    centred: bool
    first_token: First | None = None
    only: int | None = None

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a column as (rows, layers).

        Raises:
            NoSuchTap: this architecture has no such quantity.
            NonFiniteError: a value is NaN or infinite; names model, layer and dtype.
        """
        asked = "column", name, self.position, self.first_token
        if asked not in self.trace.derived:
            self.trace.derived[asked] = self._read(name)
        values, absent, bad = self.trace.derived[asked]
        if absent is not None and (absent if self.only is None else absent[:, self.only]).any():
            raise NoSuchTap(
                f"{self._who()} has no {name} at some of these positions or layers: {self._why_absent(name, LAST_ONLY)}"
            )
        if bad is not None:
            self._refuse(name, values, bad)
        found: NDArray[np.float64] = values
        return found

    def _read(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
        """Return a column as (rows, layers), where it is null, and where it is not finite; None for nowhere."""
        if name not in self.trace.blocks.column_names:
            raise NoSuchTap(f"{self._who()} has no {name}: {self._why_absent(name)}")
        column = self.trace.blocks[name]
        if column.null_count == len(column):
            raise NoSuchTap(f"{self._who()} has no {name}: {self._why_absent(name)}")
        raw = column.to_numpy(zero_copy_only=False)
        values = raw.reshape(-1, self.layers)[self.rows].astype(np.float64)  # (rows, layers)
        absent = column.is_null().to_numpy().reshape(-1, self.layers)[self.rows] if column.null_count else None
        if self.position == "whole":
            values, absent = self.gathered(name, values), None if absent is None else self._sums(absent) > 0
        values.setflags(write=False)  # handed out again
        bad = ~np.isfinite(values)
        return values, absent, bad if bad.any() else None

    def gathered(self, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what a column of all tokens, shape (tokens, layers), is of whole prompts, shape (prompts, layers).

        Raises:
            NoSuchTap: it is neither a norm nor an inner product.
        """
        kind = name.partition(".")[0].removeprefix("centred_")
        if kind not in ("norm", "dot"):
            raise NoSuchTap(f"{self._who()} has no {name} of a whole prompt: {self._why_absent(name, NOT_OF_A_MATRIX)}")
        found: NDArray[np.float64] = np.sqrt(self._sums(values**2)) if kind == "norm" else self._sums(values)
        return found

    def _sums(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the sums over each prompt's tokens, shape (prompts, layers)."""
        starts = np.flatnonzero(np.diff(self.trace.prompt_of_tokens()[self.rows], prepend=-1))
        sums: NDArray[np.float64] = np.add.reduceat(values, starts, axis=0, dtype=np.float64)
        return sums

    @property
    def of_tokens(self) -> View:
        """The same, where it is of whole prompts, token by token: a row for each."""
        whole = self.position == "whole"
        return replace(self, position="token", prompt=self.trace.prompt_of_tokens()[self.rows]) if whole else self

    def _refuse(self, name: str, values: NDArray[np.float64], bad: NDArray[np.bool_]) -> None:
        """Raise NonFiniteError where a value that is read is not finite."""
        if self.only is not None:
            bad = bad & (np.arange(self.layers) == self.only)
        if bad.any():
            row, layer = map(int, np.argwhere(bad)[0])
            raise NonFiniteError(
                f"{self._who()}: {name} is {values[row, layer]} at layer {layer + 1} of prompt {int(self.prompt[row])}"
                f" ({int(bad.sum())} of {bad.size} values are not finite); try --dtype float32"
            )

    def norm(self, tap: Tap) -> NDArray[np.float64]:
        """Return the norm at a tap, raw or centred, shape (rows, layers)."""
        return self.column(centred_norm_column(tap) if self.centred else norm_column(tap))

    def product(self, a: Tap, b: Tap) -> NDArray[np.float64]:
        """Return the inner product of two taps, raw or centred, shape (rows, layers)."""
        return self.column(centred_product_column(a, b) if self.centred else product_column(a, b))

    def prompts_column(self, name: str) -> NDArray[np.float64]:
        """Return a column of the prompt table for each row, shape (rows,); errors as `column`."""
        column = self.trace.prompts[name]
        if column.null_count:
            raise InstrumentError(f"{self._who()} has no {name}")
        values: NDArray[np.float64] = column.to_numpy(zero_copy_only=False).astype(np.float64)[self.prompt]
        if not np.isfinite(values).all():
            index = int(np.argwhere(~np.isfinite(values))[0][0])
            raise NonFiniteError(f"{self._who()}: {name} is {values[index]} for prompt {int(self.prompt[index])}")
        return values

    def _why_absent(self, name: str, otherwise: str = "not read by this pass") -> str:
        reason: str = self.trace.meta.get("absent", {}).get(name, otherwise)
        return reason

    def _who(self) -> str:
        return f"{self.trace.meta['model']} in {self.trace.meta['dtype']}"
