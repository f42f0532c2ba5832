"""What may be logged."""

from __future__ import annotations

import logging

import pytest

from evolink_mcp.guard.secrets import RedactingFormatter, redact


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.def-123",
        "{'authorization': 'Bearer abc.def-123'}",
        "key sk-evo-abcdef123",
        "my-own-key",
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    shown = redact(text, "my-own-key", None)
    assert "abc" not in shown
    assert "my-own-key" not in shown
    assert "***" in shown


def test_a_log_line_hides_the_key_in_its_traceback_too() -> None:
    try:
        raise ValueError("no sk-verysecret here")
    except ValueError as error:
        record = logging.LogRecord("x", 40, "f", 1, "bad %s", ("topsecret",), (type(error), error, error.__traceback__))
    shown = RedactingFormatter("topsecret").format(record)
    assert "verysecret" not in shown
    assert "topsecret" not in shown
    assert "Traceback" in shown
