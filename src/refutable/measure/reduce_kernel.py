"""The Triton kernel of `reduce_fused`; importing this file needs Triton."""

# mypy: ignore-errors
# ruff: noqa: D103, N803

import triton
import triton.language as tl


@triton.jit
def kernel(
    x_ptr,
    y_ptr,
    a_ptr,
    m_ptr,
    p_ptr,
    q_ptr,
    out_ptr,
    x_row,
    y_row,
    a_row,
    m_row,
    p_row,
    q_row,
    width,
    scale,
    UPDATES: tl.constexpr,
    BLOCK: tl.constexpr,
    N: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    x_ptr += row * x_row
    y_ptr += row * y_row
    a_ptr += row * a_row
    m_ptr += row * m_row
    p_ptr += row * p_row
    q_ptr += row * q_row
    zero = tl.zeros([BLOCK], tl.float32)
    sx, sy, sa, sm, sp, sq = zero, zero, zero, zero, zero, zero
    xx, yy, aa, mm, pp, qq = zero, zero, zero, zero, zero, zero
    xa, xm, am, xy, cc = zero, zero, zero, zero, zero
    for start in range(0, width, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < width
        x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        y = tl.load(y_ptr + at, mask=inside, other=0.0).to(tl.float32)
        p = tl.load(p_ptr + at, mask=inside, other=0.0).to(tl.float32)
        q = tl.load(q_ptr + at, mask=inside, other=0.0).to(tl.float32)
        sx += x
        sy += y
        sp += p
        sq += q
        xx += x * x
        yy += y * y
        pp += p * p
        qq += q * q
        xy += x * y
        if UPDATES:
            a = tl.load(a_ptr + at, mask=inside, other=0.0).to(tl.float32) * scale
            m = tl.load(m_ptr + at, mask=inside, other=0.0).to(tl.float32) * scale
            sa += a
            sm += m
            aa += a * a
            mm += m * m
            xa += x * a
            xm += x * m
            am += a * m
            c = y - x - a - m
            cc += c * c
    mx = tl.sum(sx) / width
    my = tl.sum(sy) / width
    ma = tl.sum(sa) / width
    mm_ = tl.sum(sm) / width
    mp = tl.sum(sp) / width
    mq = tl.sum(sq) / width
    cx, cy, ca, cm, cp, cq = zero, zero, zero, zero, zero, zero
    for start in range(0, width, BLOCK):  # a second look, from cache: a difference of sums would cancel
        at = start + tl.arange(0, BLOCK)
        inside = at < width
        x = tl.where(inside, tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32) - mx, 0.0)
        y = tl.where(inside, tl.load(y_ptr + at, mask=inside, other=0.0).to(tl.float32) - my, 0.0)
        p = tl.where(inside, tl.load(p_ptr + at, mask=inside, other=0.0).to(tl.float32) - mp, 0.0)
        q = tl.where(inside, tl.load(q_ptr + at, mask=inside, other=0.0).to(tl.float32) - mq, 0.0)
        cx += x * x
        cy += y * y
        cp += p * p
        cq += q * q
        if UPDATES:
            a = tl.where(inside, tl.load(a_ptr + at, mask=inside, other=0.0).to(tl.float32) * scale - ma, 0.0)
            m = tl.where(inside, tl.load(m_ptr + at, mask=inside, other=0.0).to(tl.float32) * scale - mm_, 0.0)
            ca += a * a
            cm += m * m
    nan = float("nan")
    o = out_ptr + row * N
    tl.store(o + 0, tl.sqrt(tl.sum(xx)))
    tl.store(o + 1, tl.sqrt(tl.sum(yy)))
    tl.store(o + 4, tl.sqrt(tl.sum(pp)))
    tl.store(o + 5, tl.sqrt(tl.sum(qq)))
    tl.store(o + 6, tl.sqrt(tl.sum(cx)))
    tl.store(o + 7, tl.sqrt(tl.sum(cy)))
    tl.store(o + 10, tl.sqrt(tl.sum(cp)))
    tl.store(o + 11, tl.sqrt(tl.sum(cq)))
    tl.store(o + 12, mx)
    tl.store(o + 13, my)
    tl.store(o + 19, tl.sum(xy))
    if UPDATES:
        tl.store(o + 2, tl.sqrt(tl.sum(aa)))
        tl.store(o + 3, tl.sqrt(tl.sum(mm)))
        tl.store(o + 8, tl.sqrt(tl.sum(ca)))
        tl.store(o + 9, tl.sqrt(tl.sum(cm)))
        tl.store(o + 14, ma)
        tl.store(o + 15, mm_)
        tl.store(o + 16, tl.sum(xa))
        tl.store(o + 17, tl.sum(xm))
        tl.store(o + 18, tl.sum(am))
        tl.store(o + 20, tl.sqrt(tl.sum(cc)))
    else:
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
