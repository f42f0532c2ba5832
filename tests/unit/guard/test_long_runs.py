"""Whatever cleans or hides text takes time in proportion to its length, whatever it is a run of."""

from __future__ import annotations

import time

import pytest

from evolink_mcp.guard.secrets import clean, hide, redact
from evolink_mcp.guard.text import clean_text

LENGTH = 40_000
MAX_SECONDS = 0.5  # of the processor; a search that is quadratic takes from 5 s to minutes
LONG, ODD, SHORT = "passthrough-Key_1234", 'a\\b&c"longsecret', "abc"
MORE = ["\x1b]", "\x1b[", "\x1b[0", "\x9d0", "\x1b]\x9d", "\r", "\u2028", "\u200e", "\ud800", "bearer ", "sk-", "key "]
RUNS = [
    "\\",
    "\\\\u",
    "\\u",
    "\\x",
    "\\u0041",
    "%",
    "%41",
    "&",
    "&#",
    "&#0",
    "&#x0",
    "&amp;",
    "\x1b",
    "\x9b",
    "\x9d",
    *MORE,
]


def seconds(text: str) -> float:
    start = time.process_time()
    clean_text(text)
    clean({"x": text}, LONG, ODD, SHORT)
    redact(text, LONG, ODD, SHORT)
    return time.process_time() - start


@pytest.mark.parametrize("run", RUNS, ids=ascii)
def test_a_run_of_anything_is_cleaned_in_no_time(run: str) -> None:
    assert seconds(run * (LENGTH // len(run))) < MAX_SECONDS


@pytest.mark.parametrize("start", [*"akp\\", "key ", f"{LONG} ", f"{ODD[:2]}"], ids=ascii)
def test_a_run_of_backslashes_behind_anything_is_cleaned_in_no_time(start: str) -> None:
    assert seconds(start + "\\" * LENGTH + "x") < MAX_SECONDS


@pytest.mark.parametrize("secret", [LONG, ODD])
@pytest.mark.parametrize("backslashes", [1, 2, 7, 15, 40, 5_000])
def test_a_secret_is_hidden_however_many_backslashes_are_in_it(secret: str, backslashes: int) -> None:
    run = "\\" * backslashes
    assert secret[-6:] not in hide(f"x {secret[:-6]}{run}{secret[-6:]} y", secret)
    escaped = "".join(f"{run}u{ord(character):04x}" for character in secret)
    assert "u00" not in hide(f"x {escaped} y", secret)
