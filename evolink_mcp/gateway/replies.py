"""One answer of the gateway, and the error it amounts to where it is no success."""

from __future__ import annotations

import json
import re
import reprlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evolink_mcp.errors import Charged, GatewayError, GatewayRefused, OutcomeUnknown
from evolink_mcp.gateway import problems, wire
from evolink_mcp.gateway.values import (
    MAX_ID,
    TooMuch,
    as_date,
    as_line,
    as_number,
    as_object,
    as_text,
    nested_objects,
    parse_json,
)
from evolink_mcp.guard.text import one_line

REQUEST_ID_HEADERS = ("x-request-id", "x-oneapi-request-id", "request-id")  # the last is the text dialect's
MAX_RETRY_SECONDS = 3600.0
MAX_RAW = 1_000_000  # bytes that are kept of an answer that is no JSON
MAX_IDS = 5
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f]")
_SEPARATORS = dict.fromkeys(map(ord, "_- \\"))
# Where frameworks put what is wrong.
PLAIN_KEYS = ("message", "msg", "detail", "errors", "error_message", "title", "reason")


@dataclass(frozen=True)
class Reply:
    """An answer. ``body`` is the parsed JSON, or ``None`` where the answer is none.

    ``date``: when the gateway answered, by its own clock (seconds since 1970), where it says so.
    ``streamed``: it was an event stream, and whoever asked was fed with it.
    ``raw``: the beginning of an answer that is no JSON: it may name a task all the same.
    ``size``: how many bytes its content has.
    ``excess``: what it has too much of to be read; "" where it could be read.
    """

    status: int
    host: str
    body: Any
    is_json: bool
    request_id: str
    retry_after: float | None
    date: float | None = None
    streamed: bool = False
    raw: str = field(default="", repr=False)
    size: int = 0
    excess: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 and self.is_json


def reply_from(status: int, host: str, headers: Mapping[str, str], raw: bytes, *, streamed: bool) -> Reply:
    """The reply in an answer whose content is ``raw``."""
    body, is_json, too_much = None, False, ""
    try:
        body, is_json = parse_json(raw), True
    except TooMuch as error:
        too_much = str(error)
    except (ValueError, RecursionError):
        pass
    return Reply(
        status=status,
        host=host,
        body=body,
        is_json=is_json,
        request_id=request_id_in(headers, body),
        retry_after=_retry_after(headers),
        date=as_date(headers.get("date", "")),
        streamed=streamed,
        raw="" if is_json else raw[:MAX_RAW].decode("utf-8", "replace"),
        size=len(raw),
        excess=too_much,
    )


def message_in(body: object) -> str:
    """What an answer says in words, in an error object or outside one; "" where it says nothing."""
    problem = wire.parse_problem(body) or _plain_problem(body)
    return problem.message if problem else ""


def error_from(reply: Reply, *, doing: str, paid: bool = False, request: str = "") -> GatewayError:
    """The error that an unsuccessful reply amounts to.

    Args:
        doing: What was tried, as in "creating the image task".
        paid: Whether the request could cost credits; then anything but a plain
            refusal is :class:`OutcomeUnknown`. An answer that names a task is none.
        request: Its body, whose own ids are no news.
    """
    problem = wire.parse_problem(reply.body) or _plain_problem(reply.body)
    advice = problems.http_advice(reply.status)
    if reply.excess:
        reason = f"its answer holds {reply.excess}, and is not read"
    elif problem is None and not reply.is_json:
        reason = problems.NOT_THE_GATEWAY[300 <= reply.status < 400]
    else:
        reason = (problem.message if problem else "") or advice.meaning
    code = (problem.code if problem else "") or str(reply.status)
    named, certain = "", reply.status in problems.NOT_CREATED
    if paid:
        from evolink_mcp.gateway.wrappings import ids_of_tasks

        ids, are_all = ids_of_tasks(reply.body, reply.raw, request=request)
        named = ids[0] if len(ids) == 1 else ""
        certain = certain and are_all and not ids and not _is_doubtful(reply)
        reason = f"{reason.rstrip('.')}. {naming(ids)}" if ids else reason
    charged: Charged | None = None if not paid else ("no" if certain else "unknown")
    kind = OutcomeUnknown if charged == "unknown" else GatewayRefused
    return kind(
        f"{reply.host} answered HTTP {reply.status} when {doing}: {reason.rstrip('.')}.",
        status=reply.status,
        code=code,
        charged=charged,
        next_step=_next_step(reply, problem, code),
        request_id=reply.request_id,
        retry_after=reply.retry_after,
        candidate=named if charged == "unknown" else "",
    )


def naming(ids: Sequence[str]) -> str:
    """A sentence with the tasks that an answer names."""
    listed = ", ".join(one_line(each, MAX_ID) for each in ids[:MAX_IDS])
    return f"It names {listed}, which may be the task: check_task tells"


def _is_doubtful(reply: Reply) -> bool:
    """Whether an answer holds a code by which a task may have been made, in whatever place and spelling.

    One of a megabyte is no plain refusal, whatever is in it. Nor is one that cannot be read to its end: JSON that was
    cut off, or bytes that are no text.
    """
    if reply.size > MAX_RAW or _is_part(reply.raw):
        return True
    text = (reply.raw or json.dumps(reply.body, ensure_ascii=False)).lower().translate(_SEPARATORS)
    return any(code.translate(_SEPARATORS) in text for code in problems.DOUBTFUL_CODES)


def _is_part(raw: str) -> bool:
    """Whether an answer that is no JSON is the beginning of some, or packed in a way that nobody asked for."""
    begins = raw.lstrip("\ufeff \t\r\n")[:1] in ("{", "[", '"')
    return begins or raw.count("{") > raw.count("}") or _NO_TEXT.search(raw) is not None


def request_id_in(headers: Mapping[str, str], body: object) -> str:
    """The gateway's id of a request, from its headers or else its error; "" where it names none."""
    header = next((headers[name] for name in REQUEST_ID_HEADERS if headers.get(name)), "")
    if header:
        return as_line(header, wire.MAX_WORD)
    problem = wire.parse_problem(body)
    return problem.request_id if problem else ""


def _next_step(reply: Reply, problem: wire.Problem | None, code: str) -> str:
    empty = code in problems.NEVER_RETRIED
    step = problems.HTTP_ADVICE[402].resolution if empty else problems.http_advice(reply.status).resolution
    if not reply.is_json and reply.status in problems.WRONG_ADDRESS:
        step = problems.CHECK_ADDRESS
    if reply.retry_after is not None and not empty and reply.status in (429, 503):
        step = f"Wait {reply.retry_after:.0f} s, as the gateway asks, then call again."
    if problems.is_policy(code):
        step = problems.task_advice(code).resolution
    if problem and problem.action_url:
        step = f"{step} See {problem.action_url}."
    if problem and problem.advice:
        step = f"{step} The gateway suggests: {problem.advice.rstrip('.')}."
    return step


def _plain_problem(body: object) -> wire.Problem | None:
    """What an error answer says outside any error object."""
    answer = as_object(body)
    reason = next((answer[key] for key in PLAIN_KEYS if answer.get(key)), None)
    code = as_line(answer.get("code"), wire.MAX_WORD) or as_line(answer.get("type"), wire.MAX_WORD)
    if reason is None:
        return None
    texts = (item[key] for item in nested_objects(reason) for key in PLAIN_KEYS if isinstance(item.get(key), str))
    return wire.Problem(message=as_line(next(texts, "") or as_text(reason) or reprlib.repr(reason)), code=code)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of ``Retry-After``, an hour at most; a date is measured by the answer's own ``Date``."""
    value = headers.get("retry-after", "")
    seconds = as_number(value)
    if seconds is None and (until := as_date(value)) is not None:
        seconds = max(until - (as_date(headers.get("date", "")) or time.time()), 0.0)
    return None if seconds is None or seconds < 0 else min(seconds, MAX_RETRY_SECONDS)
