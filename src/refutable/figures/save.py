"""Draws a figure's table into a file: SVG or PNG, the same bytes for the same table."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refutable._util.atomic import write_csv, write_whole
from refutable.errors import BadInput
from refutable.figures import WIDTH, Figure, Rows
from refutable.figures.style import DPI, SETTINGS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

METADATA: Mapping[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": "refutable"},  # no date and no version: the same bytes for the same table
    "png": {"Software": "refutable"},
}
WRITER: Mapping[str, dict[str, Any]] = {
    "svg": {},
    "png": {"pil_kwargs": {"compress_level": 3}},
}  # 6 takes thrice as long
FORMATS = (*METADATA, "csv")


def save(figure: Figure, rows: Rows, paths: Sequence[Path]) -> None:
    """Draw a table that has rows into files whose endings say how: ``.svg``, ``.png``, or ``.csv`` for the table.

    Raises:
        BadInput: an ending is another, or matplotlib is not installed.
        OSError: a file cannot be written.
    """
    for path in paths:
        check_format(path)
    drawn = [path for path in paths if _format(path) in METADATA]
    contents = dict(zip(drawn, _drawn(figure, rows, [_format(path) for path in drawn]), strict=True))
    for path in paths:
        if path in contents:
            write_whole(path, contents[path])
        else:
            write_csv(path, figure.columns, map(asdict, rows))


def check_format(path: Path) -> None:
    """Refuse a file whose ending is none of `FORMATS`."""
    if _format(path) not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise BadInput(f"{path}: cannot tell what to write from its ending; end it in one of {known}")


def _format(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _drawn(figure: Figure, rows: Rows, formats: Sequence[str]) -> list[bytes]:
    """Return the figure's bytes in each format; nothing of the drawing outlives the call, settings included."""
    if not formats:
        return []
    if find_spec("matplotlib") is None:
        raise BadInput("figures need matplotlib, which is not installed here: pip install matplotlib")
    import matplotlib as mpl

    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning)  # in SVG, the reader's font has it
        canvas = canvas_of(figure, rows)
        return [_bytes(canvas, name) for name in formats]


def canvas_of(figure: Figure, rows: Rows) -> Canvas:
    """Return the canvas on which a table was drawn and laid out; pyplot's state has no part in it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(WIDTH, figure.height(rows)), dpi=DPI)
    FigureCanvasAgg(canvas)
    figure.draw(rows, canvas)
    if (layout := canvas.get_layout_engine()) is not None:
        layout.execute(canvas)
        canvas.set_layout_engine("none")  # laid out once, for every format
        for axes in canvas.axes:  # the solver's last bits depend on where its variables lie in memory
            left, bottom, width, height = axes.get_position(original=True).bounds
            axes.set_position((round(left, 6), round(bottom, 6), round(width, 6), round(height, 6)))
    return canvas


def _bytes(canvas: Canvas, name: str) -> bytes:
    """Return a canvas in a format; by the backend's own writer, since `savefig` draws everything twice."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    held = io.BytesIO()
    write: Callable[..., None]
    if name == "svg":
        write = FigureCanvasSVG(canvas).print_svg
    else:
        canvas.dpi = DPI  # the writer of SVG leaves its own
        write = FigureCanvasAgg(canvas).print_png
    write(held, metadata=METADATA[name], **WRITER[name])
    return held.getvalue()
