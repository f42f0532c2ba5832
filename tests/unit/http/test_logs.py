"""What callers can cause at will does not fill the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from evolink_mcp.transports.http import logs


class Log(logging.Handler):
    """The lines that are written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.addFilter(logs.RepeatLimit())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def log() -> Iterator[Log]:
    handler = Log()
    logger = logging.getLogger("evolink_mcp.test")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)


def warn(times: int) -> None:
    for number in range(times):
        logging.getLogger("evolink_mcp.test").warning("refused number %d", number)


def test_one_place_writes_so_many_warnings_a_minute_and_then_says_how_many_it_held_back(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    warn(10_000)
    assert len(log.lines) == logs.MAX_REPEATS
    logging.getLogger("evolink_mcp.test").warning("another place")
    assert log.lines.pop() == "another place"
    monkeypatch.setattr(logs, "MINUTE_SECONDS", 0.0)
    warn(2)
    assert log.lines[logs.MAX_REPEATS :] == ["refused number 0 (and 9980 more such lines before)", "refused number 1"]


def test_information_and_the_lines_of_calls_are_not_held_back(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(100):
        logging.getLogger("evolink_mcp.test").info("as asked for")
    monkeypatch.setattr(logs, "calls", logging.getLogger("evolink_mcp.test"))
    warn(100)
    assert len(log.lines) == 200
