"""The front: answers what a host asks first while the MCP SDK, which takes nearly all of a start, loads behind it.

Its answers are those that this program gave to the same questions last time (:mod:`evolink_mcp.recall`). The full
server answers every question once more, and all others; where it says something else, the client is told. Loads nothing
but the standard library.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import IO, Any, cast

from evolink_mcp.recall import Answer, Recall, digest, recall_of
from evolink_mcp.sdk.numbers import MARK, is_number, number_of, twin_of
from evolink_mcp.signals import end_at_once, refuse

SWITCH = "EVOLINK_FAST_START"
OFF = ("off", "0", "false", "no", "n", "f", "disable", "disabled")
# Lists, with what has changed where one has; and all questions whose answers are kept.
LISTS = {f"{each}/list": each.partition("/")[0] for each in ("tools", "prompts", "resources", "resources/templates")}
QUESTIONS = ("initialize", "server/discover", *LISTS)
CANCEL = "notifications/cancelled"
REPLAY = "evolink-front-"  # begins the id of a question that the full server answers once more
MAX_CHARACTERS, MAX_LINES = 64_000, 40  # of a line, and lines of a conversation, in which a question is looked for
LOCK_SECONDS = 0.2  # at a signal, which may have interrupted whoever holds the lock
MAX_AHEAD = 200  # lines that are read before the full server takes them
PAUSE_SECONDS = 0.03  # without a word of the client, after which the SDK is loaded
SWITCH_SECONDS, USUAL_SWITCH_SECONDS = 0.001, 0.005  # between threads: while it is, and Python's own

Message = dict[str, Any]


class Front:
    """The front of one process."""

    def __init__(self, recall: Recall) -> None:
        self.recall = recall
        self._era = ""  # what client and server have agreed on, hashed; "+" behind it once the client has confirmed
        self._asked: dict[str, tuple[str, str]] = {}  # method and key of the questions passed on, by id
        self._replays: dict[str, tuple[str, str, Answer]] = {}  # the same of those answered here, with the answer
        self._lines: deque[tuple[str, str]] = deque()  # for the full server; with the number of a request
        self._count, self._stuck, self._handed = 0, False, False
        self._lock, self._heard = threading.Lock(), threading.Event()
        self._stdin: IO[str] | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True, name="front")

    def serve(self) -> None:
        """Answers until the client asks something else, or pauses: then the full server is to be loaded."""
        if not self.recall:
            return
        end_at_once(self.refuse)
        # Read as the SDK reads it, but from a descriptor of its own: the SDK will divert the first one.
        self._stdin = open(os.dup(0), encoding="utf-8", errors="replace")
        self._thread.start()
        while self._heard.wait(PAUSE_SECONDS) and not self._stuck:
            self._heard.clear()
        sys.setswitchinterval(SWITCH_SECONDS)

    def hand_over(self, stdin: Iterable[str]) -> Iterator[str]:
        """All lines for the full server; of ``stdin``, if none was read here. Nothing is answered here any more."""
        with self._lock:
            self._handed = True
        if self._stdin is None:
            return self._watched(stdin)
        sys.setswitchinterval(USUAL_SWITCH_SECONDS)
        return chain(self._waiting(), self._waiting(last=True), self._watched(self._stdin))

    def refuse(self) -> None:
        """Answers what waits for the full server, which will not come: none of it was begun."""
        self._lock.acquire(timeout=LOCK_SECONDS)
        refuse(number for _, number in self._lines.copy() if number)

    def _waiting(self, *, last: bool = False) -> Iterator[str]:
        if last:
            self._thread.join()  # it ends with the line that it reads
        while self._lines:
            with self._lock:  # a cancel may take the last one back
                lines = [self._lines.popleft()[0]] if self._lines else []
            yield from lines

    def _watched(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._note(_message(line))
            yield line

    def pass_on(self, answer: str, number: str | None) -> str:
        """What the client is told where the full server answers: nothing twice. ``number`` is the id, as JSON."""
        told = self._replays.pop(number or "", None)
        question = told[:2] if told else self._asked.pop(number or "", None)
        if question is None:
            return answer
        result = json.loads(answer).get("result")
        self.recall.keep(question[1], result)
        if told is None:
            return answer
        changed = LISTS.get(told[0]) if result != told[2] and self._era.endswith("+") else None
        return f'{{"jsonrpc":"2.0","method":"notifications/{changed}/list_changed"}}\n' if changed else ""

    def _listen(self) -> None:
        with suppress(OSError):  # the terminal is gone, or the client
            for line in self._stdin or ():
                with self._lock:
                    self._take(line)
                    if self._handed or len(self._lines) >= MAX_AHEAD:
                        break
                self._heard.set()
        self._stuck = True
        self._heard.set()

    def _take(self, line: str) -> None:
        """Answers a line, or puts it aside for the full server."""
        message = _message(line := line.removeprefix(MARK))
        question = self._note(message)
        if message.get("method") == CANCEL and "id" not in message and self._take_back(message):
            return
        is_request = not message or "id" in message  # or what cannot be told from one
        if not is_request or self._stuck or self._handed or question is None or not self._answer(message, *question):
            self._stuck = self._stuck or is_request
            self._lines.append((line, number_of(message["id"]) if "id" in message else ""))

    def _answer(self, message: Message, method: str, key: str) -> bool:
        """Answers a question if it can, and has the full server answer it too."""
        answer = self.recall.get(key) if key else {}
        if answer is None:
            return False
        _write({"jsonrpc": "2.0", "id": message["id"], "result": answer})
        if key:
            self._asked.pop(number_of(message["id"]), None)
            replay = f"{REPLAY}{len(self._replays)}"
            self._replays[number_of(replay)] = method, key, answer
            self._lines.append((json.dumps({**message, "id": replay}) + "\n", ""))
        return True

    def _take_back(self, cancel: Message) -> bool:
        """Drops a cancelled request that the full server has not seen: it is never begun, and costs nothing."""
        numbers = _cancelled(cancel)
        if match := next((each for number in numbers for each in self._lines if each[1] == number), None):
            self._lines.remove(match)
        return match is not None

    def _note(self, message: Message) -> tuple[str, str] | None:
        """The method and key of a question, "" for a ping; ``None`` for anything else. Follows the conversation."""
        self._count += 1
        method, params = message.get("method"), message.get("params", {})
        # A question whose number is cancelled or used again has no answer that could be told from another's.
        for number in (number_of(message["id"]),) if "id" in message else _cancelled(message):
            self._asked.pop(number, None)
        if self._count > MAX_LINES:
            return None
        if "id" not in message:
            self._era += "+" if method == "notifications/initialized" and self._era else ""
            return None
        if method not in QUESTIONS:
            return ("ping", "") if method == "ping" and self._era.endswith("+") else None
        if not self._era and method not in ("initialize", "server/discover"):
            self._era = "-"  # the later protocol, in which nothing is agreed on first
        try:
            key = digest(self._era, method, params)
        except RecursionError:
            return None
        if method == "initialize":
            self._era = key
        self._asked[number_of(message["id"])] = method, key
        return method, key


def front_of(words: Sequence[str]) -> Front | None:
    """The front of a start with these words; ``None`` where it is off, a person types, or nothing can be recalled."""
    if (words and words[0] != "stdio" and words[0][:1] != "-") or os.environ.get(SWITCH, "").strip().lower() in OFF:
        return None
    with suppress(OSError, ValueError, AttributeError):  # streams that are closed, or replaced
        if sys.stdin.fileno() == 0 and sys.stdout.fileno() == 1 and not os.isatty(0):
            recall = recall_of(words)
            return None if recall is None else Front(recall)
    return None


def _message(line: str) -> Message:
    """The request or notification that a line is; empty where it is none, or too long to be a question."""
    try:
        value: object = json.loads(line) if len(line) <= MAX_CHARACTERS else None
    except (ValueError, RecursionError):
        return {}
    message = cast("Message", value) if isinstance(value, dict) else {}
    fits = message.get("jsonrpc") == "2.0" and isinstance(message.get("method"), str)
    fits = fits and is_number(message.get("id", 0)) and isinstance(message.get("params"), dict | None)
    return {**message, "params": message.get("params") or {}} if fits else {}


def _cancelled(message: Message) -> tuple[str, ...]:
    """The number of the request that a message cancels, in both its forms; nothing for other messages."""
    number = message["params"].get("requestId") if message.get("method") == CANCEL else None
    return (number_of(number), twin_of(number_of(number))) if is_number(number) else ()


def _write(message: Message) -> None:
    line = (json.dumps(message, separators=(",", ":")) + "\n").encode()
    while line:
        line = line[os.write(1, line) :]
