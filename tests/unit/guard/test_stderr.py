"""Whoever started this program may never read what it writes to stderr."""

from __future__ import annotations

import io
import logging
import os
import select
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from evolink_mcp.guard.logs import set_up_logging
from evolink_mcp.guard.stderr import Stderr

logger = logging.getLogger("evolink_mcp")


def log_within(seconds: float, words: str) -> bool:
    """Whether a line is out in time; where it is not, its thread waits until somebody reads."""
    thread = threading.Thread(target=logger.warning, args=(words,), daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The reading end of a full pipe that is stderr."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    os.set_blocking(writer, True)
    os.set_blocking(reader, False)
    with os.fdopen(reader, "rb"), os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        set_up_logging("INFO")
        yield reader


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot tell whether a pipe has room")
def test_a_line_that_nobody_reads_holds_nobody_up_and_is_counted(unread: int) -> None:
    in_time = log_within(30, "first")
    held = os.read(unread, 1_000_000)
    assert in_time
    assert b"first" not in held
    logger.warning("second")
    first, second = os.read(unread, 1_000_000).decode().splitlines()
    assert first.endswith("missing here: 1")
    assert second.endswith("second")
    logger.warning("third")
    assert os.read(unread, 1_000_000).decode().count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot tell whether a pipe has room")
def test_a_line_that_finds_room_for_its_beginning_only_holds_nobody_up_and_is_written_whole(unread: int) -> None:
    os.read(unread, select.PIPE_BUF)  # as much as a pipe has where it says that there is room
    words = "é" * 20_000
    in_time = log_within(30, words)
    held = os.read(unread, 1_000_000)
    assert in_time
    logger.warning("next")
    first, second = (held + os.read(unread, 1_000_000)).lstrip(b"x").decode().splitlines()
    assert first.endswith(f" {words}")
    assert second.endswith("next")


@pytest.mark.skipif(os.name == "nt", reason="Windows writes every line at once")
def test_a_line_that_any_room_takes_is_written_at_once(unread: int, monkeypatch: pytest.MonkeyPatch) -> None:
    os.read(unread, 1_000_000)
    parts = list[str]()
    stream = next(each.stream for each in logging.getLogger().handlers if isinstance(each, Stderr))
    monkeypatch.setattr(stream, "write", parts.append)
    logger.warning("y" * (select.PIPE_BUF - 100))
    assert len(parts) == 1


def test_what_is_no_file_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr("sys.stderr", text)
    set_up_logging("INFO")
    logger.warning("a line")
    assert "a line" in text.getvalue()
