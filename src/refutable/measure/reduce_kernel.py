"""The Triton kernel of `reduce_fused`; importing this file needs Triton."""

# mypy: ignore-errors
# ruff: noqa: D103, N803

import triton
import triton.language as tl


@triton.jit
def _load(table, block, tap, row, width, at, inside, DTYPE: tl.constexpr):
    pointer = tl.load(table + block * 6 + tap).to(tl.pointer_type(DTYPE))
    return tl.load(pointer + row * width + at, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _centred(values, inside, mean):
    return tl.where(inside, values - mean, 0.0)


@triton.jit
def _norm(values):
    return tl.sqrt(tl.sum(values * values))


@triton.jit
def kernel(
    table,
    out,
    rows,
    width,
    scale,
    DTYPE: tl.constexpr,
    UPDATES: tl.constexpr,
    WIDTH: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    block = tl.program_id(1).to(tl.int64)
    at = tl.arange(0, WIDTH)
    inside = at < width
    o = out + (block * rows + row) * COLUMNS
    x = _load(table, block, 0, row, width, at, inside, DTYPE)
    y = _load(table, block, 1, row, width, at, inside, DTYPE)
    p = _load(table, block, 4, row, width, at, inside, DTYPE)
    q = _load(table, block, 5, row, width, at, inside, DTYPE)
    mx = tl.sum(x) / width
    my = tl.sum(y) / width
    tl.store(o + 0, _norm(x))
    tl.store(o + 1, _norm(y))
    tl.store(o + 4, _norm(p))
    tl.store(o + 5, _norm(q))
    cx = _centred(x, inside, mx)
    cy = _centred(y, inside, my)
    tl.store(o + 6, _norm(cx))
    tl.store(o + 7, _norm(cy))
    tl.store(o + 10, _norm(_centred(p, inside, tl.sum(p) / width)))
    tl.store(o + 11, _norm(_centred(q, inside, tl.sum(q) / width)))
    tl.store(o + 12, mx)
    tl.store(o + 13, my)
    tl.store(o + 19, tl.sum(x * y))
    tl.store(o + 23, tl.sum(cx * cy))
    if UPDATES:
        a = _load(table, block, 2, row, width, at, inside, DTYPE) * scale
        m = _load(table, block, 3, row, width, at, inside, DTYPE) * scale
        ma = tl.sum(a) / width
        mm = tl.sum(m) / width
        c = y - x - a - m
        tl.store(o + 2, _norm(a))
        tl.store(o + 3, _norm(m))
        ca = _centred(a, inside, ma)
        cm = _centred(m, inside, mm)
        tl.store(o + 8, _norm(ca))
        tl.store(o + 9, _norm(cm))
        tl.store(o + 14, ma)
        tl.store(o + 15, mm)
        tl.store(o + 16, tl.sum(x * a))
        tl.store(o + 17, tl.sum(x * m))
        tl.store(o + 18, tl.sum(a * m))
        tl.store(o + 20, tl.sum(cx * ca))
        tl.store(o + 21, tl.sum(cx * cm))
        tl.store(o + 22, tl.sum(ca * cm))
        tl.store(o + 24, _norm(c))
    else:
        nan = float("nan")
        tl.store(o + 2, nan)
        tl.store(o + 3, nan)
        tl.store(o + 8, nan)
        tl.store(o + 9, nan)
        tl.store(o + 14, nan)
        tl.store(o + 15, nan)
        tl.store(o + 16, nan)
        tl.store(o + 17, nan)
        tl.store(o + 18, nan)
        tl.store(o + 20, nan)
        tl.store(o + 21, nan)
        tl.store(o + 22, nan)
        tl.store(o + 24, nan)
