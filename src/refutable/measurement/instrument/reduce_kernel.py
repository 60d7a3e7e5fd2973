"""The Triton kernel of `reduce_fused`; importing this module needs Triton."""

# mypy: ignore-errors
# ruff: noqa: D103, N803

import triton
import triton.language as tl


@triton.jit
def _load(table, block, tap, row, width, at, inside, DTYPE: tl.constexpr):
    pointer = tl.load(table + block * 6 + tap).to(tl.pointer_type(DTYPE))
    return tl.load(pointer + row * width + at, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _add2(a0, a1, b0, b1):
    return a0 + b0, a1 + b1


@triton.jit
def _add4(a0, a1, a2, a3, b0, b1, b2, b3):
    return a0 + b0, a1 + b1, a2 + b2, a3 + b3


@triton.jit
def _sum2(a0, a1):
    return tl.reduce((a0, a1), 0, _add2)


@triton.jit
def _sum4(a0, a1, a2, a3):
    return tl.reduce((a0, a1, a2, a3), 0, _add4)


@triton.jit
def _centred(values, inside, mean):
    return tl.where(inside, values - mean, 0.0)


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
    p = _load(table, block, 4, row, width, at, inside, DTYPE)
    q = _load(table, block, 5, row, width, at, inside, DTYPE)
    sp, sq, pp, qq = _sum4(p, q, p * p, q * q)
    cp = _centred(p, inside, sp / width)
    cq = _centred(q, inside, sq / width)
    pp_c, qq_c = _sum2(cp * cp, cq * cq)
    tl.store(o + 4, tl.sqrt(pp))
    tl.store(o + 5, tl.sqrt(qq))
    tl.store(o + 10, tl.sqrt(pp_c))
    tl.store(o + 11, tl.sqrt(qq_c))
    x = _load(table, block, 0, row, width, at, inside, DTYPE)
    y = _load(table, block, 1, row, width, at, inside, DTYPE)
    sx, sy, xx, yy = _sum4(x, y, x * x, y * y)
    cx = _centred(x, inside, sx / width)
    cy = _centred(y, inside, sy / width)
    xy, xx_c, yy_c, xy_c = _sum4(x * y, cx * cx, cy * cy, cx * cy)
    tl.store(o + 0, tl.sqrt(xx))
    tl.store(o + 1, tl.sqrt(yy))
    tl.store(o + 6, tl.sqrt(xx_c))
    tl.store(o + 7, tl.sqrt(yy_c))
    tl.store(o + 12, sx / width)
    tl.store(o + 13, sy / width)
    tl.store(o + 19, xy)
    tl.store(o + 23, xy_c)
    if UPDATES:
        a = _load(table, block, 2, row, width, at, inside, DTYPE) * scale
        m = _load(table, block, 3, row, width, at, inside, DTYPE) * scale
        c = y - x - a - m
        sa, sm, aa, mm = _sum4(a, m, a * a, m * m)
        xa, xm, am, cc = _sum4(x * a, x * m, a * m, c * c)
        ca = _centred(a, inside, sa / width)
        cm = _centred(m, inside, sm / width)
        aa_c, mm_c = _sum2(ca * ca, cm * cm)
        xa_c, xm_c, am_c, _ = _sum4(cx * ca, cx * cm, ca * cm, ca)
        tl.store(o + 2, tl.sqrt(aa))
        tl.store(o + 3, tl.sqrt(mm))
        tl.store(o + 8, tl.sqrt(aa_c))
        tl.store(o + 9, tl.sqrt(mm_c))
        tl.store(o + 14, sa / width)
        tl.store(o + 15, sm / width)
        tl.store(o + 16, xa)
        tl.store(o + 17, xm)
        tl.store(o + 18, am)
        tl.store(o + 20, xa_c)
        tl.store(o + 21, xm_c)
        tl.store(o + 22, am_c)
        tl.store(o + 24, tl.sqrt(cc))
    else:
        nan = float("nan")
        for column in tl.static_range(COLUMNS):
            if (column == 2) | (column == 3) | (column == 8) | (column == 9) | (column >= 14) & (column <= 18):
                tl.store(o + column, nan)
            if (column >= 20) & (column <= 22) | (column == 24):
                tl.store(o + column, nan)
