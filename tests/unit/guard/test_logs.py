"""One record is one line, in both formats, and holds no prompt and no key."""

from __future__ import annotations

import json
import logging
import sys
from typing import cast

import pytest

from evolink_mcp.errors import GatewayRefused
from evolink_mcp.guard.logs import JsonFormatter, LineFormatter, set_up_logging
from evolink_mcp.guard.secrets import hiding

KEY = 'evo"live\\0123456789'
FORMATS = [LineFormatter(KEY), JsonFormatter(KEY)]


@pytest.fixture(params=FORMATS, ids=["text", "json"])
def formatter(request: pytest.FixtureRequest) -> logging.Formatter:
    return request.param


def record(
    message: str = "message", *args: object, name: str = "evolink_mcp.jobs", error: BaseException | None = None
) -> logging.LogRecord:
    trace = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, logging.ERROR, "file.py", 1, message, args, trace)


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def test_keys_are_hidden_whatever_they_hold(formatter: logging.Formatter) -> None:
    for text in (KEY, json.dumps(KEY), repr(KEY), "Bearer abc.def-123", "sk-evo-abcdef123"):
        line = formatter.format(record("found %s in it", text))
        assert "0123456789" not in line
        assert "abc" not in line
        assert "***" in line
    with hiding(("callers-own-token",)):
        assert "callers-own-token" not in formatter.format(record("callers-own-token"))


def test_a_record_is_one_line_that_can_be_written(formatter: logging.Formatter) -> None:
    error = raised(ValueError("line\nbreak"), raised(KeyError("x")))
    for text in ("a\nb\r\nc", "d\u2028e\x85f\x0bg", "\x1b[2J\x00", "\ud800"):
        line = formatter.format(record(text, error=error))
        assert len(line.splitlines()) == 1
        assert "\x1b" not in line
        line.encode()


def test_an_exception_is_logged_by_kind_and_place_without_its_words(formatter: logging.Formatter) -> None:
    error = raised(RuntimeError("a secret prompt"), raised(ValueError("another prompt")))
    line = formatter.format(record("It failed", error=error))
    assert "RuntimeError at test_logs.py:" in line
    assert "raised" in line
    assert "after ValueError" in line
    assert "prompt" not in line
    refused = raised(GatewayRefused("words of the gateway", code="insufficient_quota"))
    assert "GatewayRefused insufficient_quota at" in formatter.format(record(error=refused))
    missing = raised(FileNotFoundError(2, "No such file", "/home/somebody/prompt.txt"))
    assert "FileNotFoundError 2 at" in formatter.format(record(error=missing))
    assert "somebody" not in formatter.format(record(error=missing))


def test_exceptions_in_a_group_are_each_named(formatter: logging.Formatter) -> None:
    error = raised(ExceptionGroup("prompt", [ValueError("prompt"), OSError(28, "prompt")]))
    line = formatter.format(record(error=error))
    assert "(ValueError; OSError 28)" in line
    assert "prompt" not in line


def test_a_circle_of_exceptions_ends(formatter: logging.Formatter) -> None:
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    assert len(formatter.format(record(error=one))) < 2_000


def test_of_a_librarys_message_only_the_first_line_is_logged(formatter: logging.Formatter) -> None:
    line = formatter.format(record("Task exception was never retrieved\nfuture: <a prompt>", name="asyncio"))
    assert "never retrieved" in line
    assert "prompt" not in line
    assert len(formatter.format(record("x" * 5_000, name="mcp.server.sse"))) < 500
    assert "a\\nb" in formatter.format(record("a\nb")).replace("\\\\n", "\\n")


def test_arguments_that_do_not_fit_their_message_lose_no_record(formatter: logging.Formatter) -> None:
    assert "got %d" in formatter.format(record("got %d", "no number"))
    assert "got %(a)s" in formatter.format(record("got %(a)s", {"b": "a prompt"}))
    assert "got %c" in formatter.format(record("got %c", 2**40))


def test_what_cannot_be_told_of_itself_loses_no_record(formatter: logging.Formatter) -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("a prompt")

    assert "got %s" in formatter.format(record("got %s", Mute()))
    mute = record("x")
    mute.msg = cast("str", Mute())
    line = formatter.format(mute)
    assert "cannot be told" in line
    assert "prompt" not in line


@pytest.mark.parametrize("json_lines", [False, True])
def test_logs_go_to_stderr_once_and_in_the_format_that_was_asked_for(
    json_lines: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))
    set_up_logging("INFO", KEY, json_lines=json_lines)
    logging.getLogger("evolink_mcp").info("to whom it concerns %s", KEY)
    logging.getLogger("evolink_mcp").debug("unheard")
    logging.getLogger("mcp.server").info("unheard")
    logging.getLogger("mcp.server").warning("a warning")
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.startswith("{") for line in err.splitlines()] == [json_lines] * 2
    assert "unheard" not in err
    assert "concerns ***" in err
