"""Text in Anthropic's dialect: one paid POST to /v1/messages, answered at once (S0).

A stream is asked for, so that its growth can be told; an answer in plain JSON
is taken as well. There is no task behind a text and nothing to look it up by:
what is lost on the way is lost.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.gateway import routes, wire
from evolink_mcp.gateway.replies import error_from
from evolink_mcp.gateway.transport import Caller
from evolink_mcp.gateway.values import as_line, as_list, as_object, as_text, as_whole, parse_json
from evolink_mcp.guard.aside import to_its_end
from evolink_mcp.guard.secrets import beginning
from evolink_mcp.guard.text import clean_text

MAX_PARTIAL = 50_000  # characters of a broken text that its error hands over
MAX_EVENT = 4 * 1024 * 1024  # characters of one event, which brings a word or two
MAX_TEXT = 1_000_000  # characters of a text: more than any model writes, and as much as is cleaned while others wait
MAX_OTHER = 20  # kinds of content beside text that are named

_FACTS = ("model", "stop_reason", "stop_sequence")
_USAGE = ("input_tokens", "output_tokens")
_TOO_LONG = f"the text has more than {MAX_TEXT:,} characters"

OnGrowth = Callable[[int], None]


@dataclass(frozen=True)
class Message:
    """A text. ``stop_reason`` is the gateway's word ("end_turn", "max_tokens", …), "" where it gave none.

    ``other`` names the kinds of content beside text, which are left out.
    """

    text: str
    model: str = ""
    stop_reason: str = ""
    stop_sequence: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    other: tuple[str, ...] = ()


async def create(
    caller: Caller,
    body: Mapping[str, object],
    *,
    seconds: float,
    on_growth: OnGrowth | None = None,
    depart: Callable[[], None] | None = None,
) -> Message:
    """Has a text written: one paid POST, sent once.

    Args:
        body: ``model``, ``max_tokens``, ``messages`` and what else the dialect takes.
        on_growth: Gets the number of characters so far, where the gateway streams.
        depart: Called right before the first byte goes out; may raise to stop it.

    Raises:
        Unreachable: It never arrived.
        GatewayRefused: The gateway said no, and charged nothing.
        OutcomeUnknown: It may have arrived, and no whole text came back.
    """
    stream = _Stream(on_growth)
    url = f"{caller.transport.text_url}{routes.MESSAGES}"
    try:
        reply = await caller.ask(
            "POST", url, seconds=seconds, feed=stream.feed, json={**body, "stream": True}, depart=depart
        )
    except OutcomeUnknown as error:
        if not stream.is_complete:
            raise stream.broken(error) from error.__cause__
        return await to_its_end(stream.length, lambda: stream.whole(urlsplit(url).netloc, error.request_id))
    if reply.streamed:
        return await to_its_end(stream.length, lambda: stream.whole(reply.host, reply.request_id))
    if not reply.ok:
        error = error_from(reply, doing="writing the text", paid=True)
        if reply.status == 404:
            step = "Check model, and EVOLINK_TEXT_URL where it is set: the gateway does not know one of them."
            raise error.replace(next_step=step)
        raise error
    text = _text_in(reply.body)
    if text is None:
        problem = wire.parse_problem(reply.body)
        raise OutcomeUnknown(
            f"{reply.host} answered HTTP {reply.status} without a text"
            + (f": {problem.message.rstrip('.')}." if problem and problem.message else "."),
            status=reply.status,
            code=(problem.code if problem else "") or "no_text",
            request_id=reply.request_id,
        )
    if len(text) > MAX_TEXT:
        what = f"{reply.host} failed while writing the text: {_TOO_LONG}."
        partial = beginning(text, MAX_PARTIAL)
        raise OutcomeUnknown(what, status=reply.status, code="too_long", request_id=reply.request_id, partial=partial)
    return _message(reply.body, await to_its_end(len(text), lambda: clean_text(text)))


class _Stream:
    """The events of one answer, put together."""

    def __init__(self, on_growth: OnGrowth | None) -> None:
        self._on_growth = on_growth
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest: list[str] = []  # of a line that has no end yet, as it came
        self._rest_length = 0
        self._after_cr = False  # ended in a line end that may go on
        self._name = ""  # of the event that is not complete yet
        self._data: list[str] = []
        self._waiting = 0  # characters of the event that is not complete yet
        self._texts: list[str] = []
        self.length = 0
        self._facts: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._other: set[str] = set()
        self._problem: wire.Problem | None = None
        self._ended = False

    def feed(self, chunk: bytes) -> bool:
        """Takes in some bytes of the stream, cut anywhere; true once all that matters is there."""
        for line in self._lines(self._decoder.decode(chunk)):
            if line.startswith("data:"):
                self._data.append(line[5:].removeprefix(" "))
                self._waiting += len(line)
            elif line.startswith("event:"):
                self._name = line[6:].strip()
            elif not line:
                if self._data:
                    self._event("\n".join(self._data))
                self._data.clear()
                self._name, self._waiting = "", 0
        if self._waiting + self._rest_length > MAX_EVENT:
            self._problem, self._ended = wire.Problem("one of its events has no end", "too_long"), True
        elif self.length > MAX_TEXT:
            self._problem, self._ended = wire.Problem(_TOO_LONG, "too_long"), True
        return self._ended

    @property
    def is_complete(self) -> bool:
        """Whether all of the text is there. Some proxies swallow the last event; a reason to stop says as much."""
        return self._problem is None and (self._ended or bool(self._facts.get("stop_reason")))

    def broken(self, error: OutcomeUnknown) -> OutcomeUnknown:
        """``error`` with what there is of the text: it may have been paid for."""
        if not self.length:
            return error
        partial = beginning(_joined("".join(self._texts)), MAX_PARTIAL)
        return error.replace(what=f"{error.what} The text had {self.length:,} characters by then.", partial=partial)

    def whole(self, host: str, request_id: str) -> Message:
        """The text, once the stream is over.

        Raises:
            OutcomeUnknown: The stream told of an error, or stopped before its end.
        """
        if self.is_complete:
            return Message(
                text=clean_text(_joined("".join(self._texts))),
                model=as_line(self._facts.get("model")),
                stop_reason=as_line(self._facts.get("stop_reason")),
                stop_sequence=as_line(self._facts.get("stop_sequence")),
                input_tokens=as_whole(self._usage.get("input_tokens")),
                output_tokens=as_whole(self._usage.get("output_tokens")),
                other=_kinds(self._other),
            )
        what = f"The answer of {host} stopped before its end."
        if self._problem is not None:
            what = f"{host} failed while writing the text: {self._problem.message.rstrip('.')}."
        code = (self._problem.code if self._problem else "") or "connection_lost"
        request_id = request_id or (self._problem.request_id if self._problem else "")
        raise self.broken(OutcomeUnknown(what, status=200, code=code, request_id=request_id))

    def _lines(self, text: str) -> Iterator[str]:
        """The lines that end in ``text``. What has no end yet is joined once, in however many parts it comes.

        Lines end as those of event streams do (WHATWG HTML, section 9.2.5): with CR, LF or both.
        """
        if text:
            text, self._after_cr = text.removeprefix("\n") if self._after_cr else text, text.endswith("\r")
        self._rest.append(text)
        self._rest_length += len(text)
        if "\n" not in text and "\r" not in text:
            return iter(())
        *lines, rest = "".join(self._rest).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest, self._rest_length = [rest], len(rest)
        return iter(lines)

    def _event(self, data: str) -> None:
        event: Mapping[str, Any] = {}
        try:
            event = as_object(parse_json(data.encode(errors="replace")))
        except (ValueError, RecursionError):
            if self._name != "error":
                return
        match event.get("type") or self._name or ("error" if event.get("error") else ""):
            case "message_start":
                message = as_object(event.get("message"))
                self._note(message, message)
            case "content_block_start":
                block = as_object(event.get("content_block"))
                if block.get("type") != "text" and len(self._other) < MAX_OTHER:
                    self._other.add(as_line(block.get("type"), wire.MAX_STATUS))
                self._add(block.get("text"))
            case "content_block_delta":
                self._add(as_object(event.get("delta")).get("text"))
            case "message_delta":
                self._note(as_object(event.get("delta")), event)
            case "message_stop":
                self._ended = True
            case "error":
                self._problem = wire.parse_problem(event) or wire.Problem("no reason was given", "error")
            case _:
                pass  # pings, and what later versions add

    def _note(self, facts: Mapping[str, Any], around: Mapping[str, Any]) -> None:
        usage = as_object(around.get("usage"))
        self._facts |= {name: facts[name] for name in _FACTS if name in facts}
        self._usage |= {name: usage[name] for name in _USAGE if name in usage}

    def _add(self, text: object) -> None:
        if isinstance(text, str) and text:
            self._texts.append(text)
            self.length += len(text)
            if self._on_growth is not None:
                self._on_growth(self.length)


def _joined(text: str) -> str:
    """A text with its surrogate pairs joined, which two events may have torn apart."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _kinds(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(islice(filter(None, names), MAX_OTHER))))


def _text_in(body: object) -> str | None:
    """The text in an answer of plain JSON, as it came; ``None`` where it holds none."""
    answer = as_object(body)
    if not isinstance(answer.get("content"), list) or answer.get("type") == "error":
        return None
    blocks = map(as_object, as_list(answer["content"]))
    return "".join(as_text(block.get("text")) for block in blocks if block.get("type") == "text")


def _message(body: object, text: str) -> Message:
    """An answer of plain JSON, with its text cleaned."""
    answer = as_object(body)
    kinds = (as_object(block).get("type") for block in as_list(answer.get("content")))
    usage = as_object(answer.get("usage"))
    return Message(
        text=text,
        model=as_line(answer.get("model")),
        stop_reason=as_line(answer.get("stop_reason")),
        stop_sequence=as_line(answer.get("stop_sequence")),
        input_tokens=as_whole(usage.get("input_tokens")),
        output_tokens=as_whole(usage.get("output_tokens")),
        other=_kinds(as_line(kind, wire.MAX_STATUS) for kind in dict.fromkeys(map(as_text, kinds)) if kind != "text"),
    )
