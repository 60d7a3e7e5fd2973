"""Random changes of bytes: bits, slices, and pieces that parsers are known to stumble over."""

from __future__ import annotations

import random

PIECES = (
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\n",
        b"\r\n",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
        b"\x1b[2J",
        b"\t",
    ),
    *(
        b"[" * 300,
        b"{" * 50,
        b'{"a":' * 300,
        b"]",
        b"}",
        b'"',
        b"'",
        b"\\",
        b"\\ud800",
        b"&a *a",
        b"!!python/object",
        b"#",
    ),
    *(b"9" * 400, b"-1", b"0", b"1e999", b"1e-999", b"NaN", b"Infinity", b"true", b"null", b"~", b"2.5", b"1_000"),
    *(b"/etc/passwd", b"../..", b"https://", b"<script>", b"=1+1", b"\xf0\x9f\x99\x82", b"A" * 3000, b",", b":", b" "),
    *(b"\xff" * 8, b"\x7f\xff\xff\xff\xff\xff\xff\xff", b"\0" * 8, b"GGUF", b"PAR1"),
)


def mutated(data: bytes, rng: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """Return data with one to four random changes; `others` are files of the same form, to take pieces from."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        at = rng.randrange(len(changed) + 1)
        to = min(len(changed), at + rng.choice((1, 1, 2, 4, 8, 30, 200)))
        match rng.randrange(8):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                del changed[at:to]
            case 2:
                changed[at:at] = changed[at:to] * rng.choice((1, 2, 50))
            case 3 | 4:
                changed[at:at] = rng.choice(PIECES)
            case 5:
                changed[at:to] = rng.choice(PIECES)
            case 6:
                changed[at:to] = rng.randbytes(to - at)
            case _:
                donor = rng.choice((*others, data))
                start = rng.randrange(len(donor) + 1)
                changed[at:to] = donor[start : start + rng.randrange(1, 200)]
    if rng.random() < 0.03:
        del changed[rng.randrange(len(changed) + 1) :]
    return bytes(changed)
