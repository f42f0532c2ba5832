"""Text that is shortened shows no part of a secret, wherever the cut falls."""

from __future__ import annotations

import json
import logging

import pytest

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.gateway.replies import error_from, reply_from
from evolink_mcp.gateway.text import MAX_PARTIAL, _Stream  # pyright: ignore[reportPrivateUsage]
from evolink_mcp.guard.logs import JsonFormatter, LineFormatter
from evolink_mcp.guard.secrets import beginning, clean, hiding
from evolink_mcp.guard.text import one_line

SECRET = "ek-Zq9x8Ab7-Kw3v5Tn2-Pd6y4Rm1"
PART = SECRET[:6]
LIMIT = 100


@pytest.mark.parametrize("spelling", [SECRET, "".join(f"\\u{ord(each):04x}" for each in SECRET), "\x00".join(SECRET)])
@pytest.mark.parametrize("filler", ["x", "x ", "\x00", "  "])
def test_no_cut_of_a_line_shows_a_part_of_a_secret(filler: str, spelling: str) -> None:
    with hiding((SECRET,)):
        for before in range(0, 5 * LIMIT, 3):
            for behind in ("", " and more" * 2_000):
                line = str(clean(one_line((filler * before)[:before] + spelling + behind, LIMIT)))
                assert PART not in line
                assert "\\u0065\\u006b" not in line


def test_no_secret_is_shown_in_part_behind_many_others() -> None:
    with hiding((SECRET,)):
        for behind in range(0, 60, 3):
            text = f"{SECRET} " * 40
            assert PART not in str(clean(one_line("x" * behind + text, 4 * LIMIT)))


@pytest.mark.parametrize("mark", ["\x00", "\x1b[0m", "\x1b]0;title\x07", "\u202e", "\ufeff", "\U000e0041", "\x9b1m"])
def test_a_secret_is_hidden_whatever_is_removed_from_between_its_characters(mark: str) -> None:
    for place in range(1, len(SECRET), 7):
        text = SECRET[:place] + mark + SECRET[place:]
        record = logging.LogRecord("evolink_mcp", logging.WARNING, "x.py", 1, text, None, None)
        shown = [clean(text, SECRET), clean({text: [text]}, SECRET)]
        shown += [kind(SECRET).format(record) for kind in (LineFormatter, JsonFormatter)]
        looks_like_a_key = logging.LogRecord("evolink_mcp", logging.WARNING, "x.py", 1, f"s{mark}k-{PART}1", None, None)
        shown += [kind().format(looks_like_a_key) for kind in (LineFormatter, JsonFormatter)]
        assert PART not in str(shown)
        assert str(shown).count("***") == 7


@pytest.mark.parametrize("before", range(440, 500, 7))
def test_a_refusal_that_quotes_the_key_shows_none_of_it(before: int) -> None:
    raw = json.dumps({"error": {"message": "x" * before + SECRET}}).encode()
    with hiding((SECRET,)):
        error = error_from(reply_from(401, "api.test", {}, raw, streamed=False), doing="creating it", paid=True)
        assert PART not in str(clean(error.what))


@pytest.mark.parametrize("before", range(270, 300, 4))
@pytest.mark.parametrize("kind", [LineFormatter, JsonFormatter])
def test_a_library_that_logs_a_key_across_the_cut_shows_none_of_it(
    before: int, kind: type[LineFormatter | JsonFormatter]
) -> None:
    record = logging.LogRecord("uvicorn", logging.WARNING, "x.py", 1, "x" * before + SECRET, None, None)
    assert PART not in kind(SECRET).format(record)


def test_a_text_that_breaks_off_shows_no_part_of_a_key_at_its_cut() -> None:
    stream = _Stream(None)
    text = "x" * (MAX_PARTIAL - 10) + SECRET
    for start in range(0, len(text), 5):
        delta = {"type": "content_block_delta", "delta": {"text": text[start : start + 5]}}
        stream.feed(f"data: {json.dumps(delta)}\n\n".encode())
    with hiding((SECRET,)):
        assert PART not in str(clean(stream.broken(OutcomeUnknown("Broken.")).partial))


def test_a_secret_that_the_look_cuts_off_is_not_drawn_into_view_by_those_that_are_hidden_before_it() -> None:
    shown = [beginning(f"{SECRET} " * 200, most, SECRET) for most in range(3000, 3030)]
    assert {letter for text in shown for letter in text} == {"*", " "}
