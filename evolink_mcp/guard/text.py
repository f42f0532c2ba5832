"""Foreign text, made harmless: what cannot be encoded is replaced, what steers a terminal or a reader is removed."""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Escape sequences of terminals: CSI, OSC up to its end on the same line, and the short ones.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\x9d\r\n]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]?"
)
_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Marks that turn the direction of what follows, invisible tags, and the byte order mark.
_MARKS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f"
_UNWANTED = re.compile(rf"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f{_MARKS}]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
SUSPECTS = rf"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_MARKS}"  # text without one of them is clean
_SUSPECT = re.compile(f"[{SUSPECTS}]")


def clean_text(text: str) -> str:
    """``text`` without terminal sequences, control characters and direction marks; line breaks and tabs stay.

    Half of a surrogate pair becomes U+FFFD, so that the result can be encoded as UTF-8. Whatever some reader takes for
    a line break becomes one.
    """
    if not _SUSPECT.search(text):
        return text
    text = _BREAKS.sub("\n", _ANSI.sub("", text))
    return _SURROGATES.sub(REPLACEMENT, _UNWANTED.sub("", text))


def one_line(text: str, limit: int) -> str:
    """``text`` cleaned, as one printable line of at most ``limit`` characters: any white space becomes one space.

    Secrets of the request under way are hidden before the cut, which would show a part of one.
    """
    if len(text) > limit:
        from evolink_mcp.guard.secrets import beginning  # it needs what is above

        # Cleaning takes time, and only the beginning is shown. Sequences that are removed make it shorter.
        text = beginning(text, 4 * limit)
    line = " ".join(clean_text(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
