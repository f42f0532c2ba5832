"""stderr as the place of logs: nothing waits for whoever reads it."""

from __future__ import annotations

import logging
import select
import sys
from typing import TextIO

MAX_BYTES = 10  # of a character, as stderr writes those that its encoding does not have


class Stderr(logging.StreamHandler[TextIO]):
    """Writes each record that finds room, and drops the others; a line before the next one says how many.

    A host may never read what it has its servers write there. After 64 kB the next line would wait for ever, and with
    it every call. A pipe with room may have it for 4 kB only, or 512 bytes on macOS: a line is written in parts, and
    what finds no room comes before the next line.
    """

    def __init__(self) -> None:
        super().__init__()
        self._dropped = 0
        self._rest = ""  # of a line that has begun

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write("")
            if self._dropped and self._has_room():
                words, dropped, self._dropped = "Nobody read stderr: lines that are missing here: %d", self._dropped, 0
                self._write(self.format(logging.LogRecord(__name__, logging.WARNING, "", 0, words, (dropped,), None)))
            if self._has_room():
                self._write(self.format(record))
            else:
                self._dropped += 1
        except RecursionError:
            raise
        except Exception:
            self._rest = ""
            self.handleError(record)

    def _write(self, line: str) -> None:
        """Writes what was left of the line before, then this one, as far as there is room."""
        self._rest += f"{line}{self.terminator}" if line else ""
        while self._rest and self._is_writable():
            size = self._fitting()
            part, self._rest = self._rest[:size], self._rest[size:]
            self.stream.write(part)
            self.flush()

    def _fitting(self) -> int:
        """How many characters of the rest a pipe with any room takes; all that it can, so that lines of several
        processes do not mix."""
        most = getattr(select, "PIPE_BUF", sys.maxsize)
        if len(self._rest) <= most:
            encoding = getattr(self.stream, "encoding", None) or "utf-8"
            if len(self._rest.encode(encoding, "backslashreplace")) <= most:
                return len(self._rest)
        return most // MAX_BYTES

    def _has_room(self) -> bool:
        """Whether another line can begin."""
        return not self._rest and self._is_writable()

    def _is_writable(self) -> bool:
        """Whether something can be written at once, or nobody can tell: it is no file, or the system is Windows."""
        try:
            poll = select.poll()
            poll.register(self.stream.fileno(), select.POLLOUT)
            return bool(poll.poll(0))
        except (AttributeError, OSError, ValueError):
            return True
