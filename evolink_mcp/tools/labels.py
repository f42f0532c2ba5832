"""How our own lines begin: no foreign text of several lines may hold one that begins so, or looks as if it did."""

from __future__ import annotations

import re
import unicodedata

from evolink_mcp.guard.text import clean_text

# It is matched against one line at a time: a pattern that runs on over empty lines takes the square of their number.
_LABEL = re.compile(r"\s*(?:charged|held|next|note|saved|copy|error|request id|result \d+)\s*:", re.IGNORECASE)
# What no reader sees: joiners, fillers, selectors of a letter's form.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\uffa0\ufff9-\ufffb"
    "\U000e0100-\U000e01ef]"
)
# Letters of other scripts that are drawn like those of our labels, and what is drawn like a colon. Those of
# mathematics, wide ones and ones with accents are told by their decomposition.
_ALIKE = str.maketrans(
    {
        character: letter
        for letter, characters in {
            "a": "\u1d00\u0410\u0430\u0391\u03b1\u0251\uab7a\u13aa",
            "c": "\u0421\u0441\u03f9\u03f2\u1d04\u13df",
            "d": "\u0500\u0501\u1d05\u13a0",
            "e": "\u0415\u0435\u0395\u03b5\u1d07\u0404\u0454\u04bd\u13ac",
            "g": "\u0261\u0262\u050c\u050d\u0581\u13c0",
            "h": "\u041d\u04ba\u04bb\u0397\u029c\u0570\u13bb",
            "i": "\u0406\u0456\u0399\u03b9\u0131\u04c0\u04cf\u026a\u13a5",
            "l": "\u029f\u0196\u13de\u217c",
            "n": "\u039d\u0274\u0578\u057c\u043f\u03b7",
            "o": "\u041e\u043e\u039f\u03bf\u0585\u0555\u1d0f",
            "p": "\u0420\u0440\u03a1\u03c1\u1d18\u13e2",
            "q": "\u051a\u051b\u0566",
            "r": "\u0433\u1d26\u0280\u13a1\u13d2",
            "s": "\u0405\u0455\ua731\u13da",
            "t": "\u0422\u0442\u03a4\u03c4\u1d1b\u13a2",
            "u": "\u03c5\u057d\u1d1c",
            "v": "\u0474\u0475\u03bd\u1d20\u13d9",
            "x": "\u0425\u0445\u03a7\u03c7",
            "y": "\u0423\u0443\u03a5\u03b3\u04ae\u04af\u028f\u1eff",
            ":": "\u2236\u02d0\ua789\u0589\u05c3\u0703\u0704\u205a\ufe30\ufe13\u1361",
        }.items()
        for character in characters
    }
)
MAX_HEAD = 80  # characters of a line that are read, with its accents
MAX_LETTERS = 24  # of those; no label is longer. One may stand for 18 letters.
MAX_ODD = 20_000  # lines of other letters that are read; beyond them each is quoted


def quote_labels(text: str) -> str:
    """Text of several lines, in which lines that look like ours are quoted."""
    text = clean_text(text)
    pairs = zip(text.split("\n"), _UNSEEN.sub("", text).split("\n"), strict=True)
    odd, lines = 0, list[str]()
    for line, seen in pairs:
        is_ours = _LABEL.match(seen) is not None
        if not is_ours and not (head := seen.lstrip()[:MAX_HEAD]).isascii():
            odd += 1
            is_ours = odd > MAX_ODD or _LABEL.match(_plain(head)) is not None
        lines.append(f"> {line}" if is_ours else line)
    return "\n".join(lines)


def _plain(head: str) -> str:
    """The beginning of a line in the letters that it seems to be written in."""
    apart = unicodedata.normalize("NFKD", _without_accents(head.translate(_ALIKE)))
    return _without_accents(apart[: 2 * MAX_LETTERS].translate(_ALIKE))


def _without_accents(text: str) -> str:
    return "".join(each for each in text if not unicodedata.combining(each))[:MAX_LETTERS]
