"""stderr as the place of logs: nothing waits for whoever reads it."""

from __future__ import annotations

import logging
import select
from typing import TextIO


class Stderr(logging.StreamHandler[TextIO]):
    """Writes each record that finds room, and drops the others; a line before the next one says how many.

    A host may never read what it has its servers write there. After 64 kB the next line would wait for ever, and with
    it every call. A pipe that has room at all takes a line of 4 kB, which is more than ours have.
    """

    def __init__(self) -> None:
        super().__init__()
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        if self._dropped and self._has_room():
            words, dropped, self._dropped = "Nobody read stderr: lines that are missing here: %d", self._dropped, 0
            super().emit(logging.LogRecord(__name__, logging.WARNING, __file__, 0, words, (dropped,), None))
        if self._has_room():
            super().emit(record)
        else:
            self._dropped += 1

    def _has_room(self) -> bool:
        """Whether a line can be written at once, or nobody can tell: it is no file, or the system is Windows."""
        try:
            poll = select.poll()
            poll.register(self.stream.fileno(), select.POLLOUT)
            return bool(poll.poll(0))
        except (AttributeError, OSError, ValueError):
            return True
