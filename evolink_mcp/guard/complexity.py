"""How much JSON holds, counted before it is read: reading millions of values would hold up everybody else."""

from __future__ import annotations

import sys

MAX_VALUES = 5_000  # in one message of a client; a tool call has a few dozen
MAX_DEPTH = 64
MAX_DIGITS = 300  # of a whole number: reading one takes the square of them
SMALL = 100_000  # bytes, in which numbers are few

_NO_MARKS = bytes(set(range(256)) - set(b"[]{},"))
_ZEROS = bytes(ord("0") if chr(byte).isdigit() else byte for byte in range(128)) + bytes(range(128, 256))


def excess(content: bytes, *, values: int, depth: int = sys.maxsize, digits: int = sys.maxsize) -> str:
    """What JSON has too much of, as in "more than 5000 values"; "" where it is fine."""
    openers = content.count(b"{") + content.count(b"[")
    is_long = digits < len(content) > SMALL and b"0" * (digits + 1) in content.translate(_ZEROS)
    if openers <= depth and openers + content.count(b",") <= values and not is_long:
        return ""  # the usual case, without a closer look at what is in strings
    bare = content.replace(rb"\\", b"").replace(rb"\"", b"")
    if bare.count(b'"') > 4 * values:
        return f"more than {values} values"
    outside = b"".join(bare.split(b'"')[::2])
    if is_long and b"0" * (digits + 1) in outside.translate(_ZEROS):
        return f"numbers of more than {digits} digits"
    marks = outside.translate(None, _NO_MARKS)
    openers = marks.count(b"{") + marks.count(b"[")
    if openers + marks.count(b",") > values or len(marks) > 2 * values:
        return f"more than {values} values"
    return f"values nested more than {depth} deep" if openers > depth and _depth(marks) > depth else ""


def _depth(marks: bytes) -> int:
    level = deepest = 0
    for mark in marks:
        level += (mark in b"{[") - (mark in b"}]")
        deepest = max(deepest, level)
    return deepest
