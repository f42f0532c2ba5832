"""The gateway's answers, read without trusting their shape.

S1 and S2 describe fields that newer answers spell otherwise (``id`` for
``task_id``; ``results`` of strings; ``result_data`` as list or object; an error
code that is a number or a string, or an ``error`` that is only a string).
Everything is read as "this, if it is what it should be, else absent".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from evolink_mcp.gateway.billing import credits_held, credits_used
from evolink_mcp.gateway.statuses import FINAL, STATUSES, Kind, Status
from evolink_mcp.gateway.values import (
    MAX_ITEMS,
    as_id,
    as_line,
    as_link,
    as_list,
    as_moment,
    as_object,
    as_text,
    as_whole,
    nested_objects,
)
from evolink_mcp.gateway.wrappings import STATUS_KEYS, URL_KEYS, task_in

_PREFIX = re.compile(r"^(task_)?(status|state)_")  # TASK_STATUS_SUCCEED
_REQUEST_ID = re.compile(r"\(\s*request id:\s*([\w.-]{1,80})\s*\)\s*$", re.IGNORECASE)
MAX_MESSAGE = 500
MAX_WORD = 80  # codes, ids of requests
MAX_STATUS = 40
MAX_HINT = 200
MAX_RESULTS = 200
MAX_LINKS = 400_000  # characters of a task's links together
MAX_OUTPUTS = 40
MAX_OUTPUT = 120
MAX_UNFINISHED_SECONDS = 86_400.0  # far beyond what any model takes


@dataclass(frozen=True)
class Problem:
    """An error as the gateway words it. ``code`` is always a string, "" where none was given."""

    message: str = ""
    code: str = ""
    request_id: str = ""
    advice: str = ""
    action_url: str = ""


@dataclass(frozen=True)
class Result:
    """One finished file. ``kind`` is absent where the answer does not tell."""

    url: str
    kind: Kind | None = None


@dataclass(frozen=True)
class Task:
    """One task. Times are seconds since 1970, sizes of money are credits.

    ``age`` is how many seconds old it was when the gateway answered, by the gateway's own clock; see :meth:`age_at`.

    ``outputs`` holds what was made that has no link (a character's name, an element's id).
    ``raw_status`` is the gateway's own word for the status, ``result_count`` what its list says in place of links.
    """

    id: str
    status: Status
    raw_status: str = ""
    kind: Kind | None = None
    model: str = ""
    progress: int | None = None
    created: float | None = None
    age: float | None = None
    estimated_seconds: int | None = None
    credits_reserved: float | None = None
    credits_used: float | None = None
    results: tuple[Result, ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()
    result_count: int | None = None
    error: Problem | None = None

    @property
    def final(self) -> bool:
        return self.status in FINAL

    def age_at(self, now: float) -> float | None:
        """How old it is, by the gateway's clock and by ours, where it is ``now``; ``None`` where neither tells.

        One of them may be far off, so the younger counts: a task that looks too old is not waited for. An unfinished
        one that looks older than a day by both was made at a time that is none.
        """
        ours = None if self.created is None or now < self.created else now - self.created
        age = min(
            (each for each in (self.age, ours) if each is not None), default=None if self.created is None else 0.0
        )
        return age if age is None or self.final or age < MAX_UNFINISHED_SECONDS else None


@dataclass(frozen=True)
class StoredFile:
    """One uploaded file. Absent text is "", an absent size ``None``; times are the gateway's ISO strings."""

    file_id: str
    file_name: str = ""
    original_name: str = ""
    file_size: int | None = None
    mime_type: str = ""
    file_url: str = ""
    download_url: str = ""
    upload_time: str = ""
    expires_at: str = ""


@dataclass(frozen=True)
class Quota:
    """Places for files: used, at most, left."""

    used_files: int | None = None
    max_files: int | None = None
    remain_files: int | None = None
    user_group: str = ""


def parse_problem(body: object) -> Problem | None:
    """The error in an answer, whatever its shape; ``None`` where it holds none.

    Understands ``{"error": {...}}`` with a numeric or string code, ``{"error": "text"}``,
    and the files API's ``{"success": false, "code": …, "msg": …}``.
    """
    outer = as_object(body)
    error = outer.get("error")
    inner = as_object(error)
    if isinstance(error, str):
        code = error if error.replace("_", "").isalnum() else ""
        inner = {"message": as_text(outer.get("error_description")) or error, "code": code}
    elif not inner and outer.get("success") is False:
        inner = {"message": outer.get("msg") or outer.get("message"), "code": outer.get("code")}
    if not inner:
        return None
    message = as_line(inner.get("message"), MAX_MESSAGE)
    match = _REQUEST_ID.search(message)
    return Problem(
        message=_REQUEST_ID.sub("", message).strip(),
        code=as_line(inner.get("code"), MAX_WORD) or as_line(inner.get("type"), MAX_WORD),
        request_id=as_line(inner.get("request_id"), MAX_WORD)
        or as_line(outer.get("request_id"), MAX_WORD)
        or (match.group(1) if match else ""),
        advice=as_line(inner.get("fallback_suggestion"), MAX_HINT),
        action_url=as_line(inner.get("action_url"), MAX_HINT),
    )


def parse_task(body: object, date: float | None = None) -> Task | None:
    """The task in an answer that was given at ``date``, by the gateway's clock; ``None`` where it has no id."""
    outer, identifier = task_in(body)
    if not identifier:
        return None
    info = as_object(outer.get("task_info"))
    kind = _kind(outer)
    results = tuple(islice(_results(outer, kind), MAX_RESULTS))
    word = next((outer[key] for key in STATUS_KEYS if outer.get(key)), None)
    status = _status(word, results)
    created = as_moment(outer.get("created")) or as_moment(outer.get("created_at"))
    return Task(
        id=identifier,
        status=status,
        raw_status=as_line(word, MAX_STATUS),
        kind=kind,
        model=as_line(outer.get("model")),
        progress=_percent(outer.get("progress")),
        created=created,
        age=None if created is None or date is None else max(date - created, 0.0),
        estimated_seconds=as_whole(info.get("estimated_time")),
        credits_reserved=credits_held(outer),
        credits_used=credits_used(outer),
        results=results,
        outputs=tuple(islice(_outputs(outer.get("result_data")), MAX_OUTPUTS)),
        result_count=as_whole(outer.get("result_count")),
        error=parse_problem(outer) if status in ("failed", "cancelled") else None,
    )


def parse_file(body: object) -> StoredFile | None:
    """The stored file in a ``data`` object; ``None`` where it has no id."""
    data = as_object(body)
    identifier = as_id(data.get("file_id"))
    if not identifier:
        return None
    return StoredFile(
        file_id=identifier,
        file_name=as_line(data.get("file_name")),
        original_name=as_line(data.get("original_name")),
        file_size=as_whole(data.get("file_size")),
        mime_type=as_line(data.get("mime_type")),
        file_url=as_link(data.get("file_url")),
        download_url=as_link(data.get("download_url")),
        upload_time=as_line(data.get("upload_time"), MAX_WORD),
        expires_at=as_line(data.get("expires_at"), MAX_WORD),
    )


def parse_quota(body: object) -> Quota:
    """The quota in a ``data`` object."""
    data = as_object(body)
    return Quota(
        used_files=as_whole(data.get("used_files")),
        max_files=as_whole(data.get("max_files")),
        remain_files=as_whole(data.get("remain_files")),
        user_group=as_line(data.get("user_group"), MAX_WORD),
    )


def _kind(task: Mapping[str, Any]) -> Kind | None:
    for word in (as_text(task.get("type")), as_text(task.get("object")).split(".")[0]):
        if word in ("image", "video", "audio", "text"):
            return word
    return None


def _percent(value: object) -> int | None:
    number = as_whole(value)
    return None if number is None else min(max(number, 0), 100)


def _status(word: object, results: tuple[Result, ...]) -> Status:
    """The status for a gateway's word; results beside a word that nobody knows mean that the task has ended well."""
    name = _PREFIX.sub("", as_line(word, MAX_STATUS).lower().replace("-", "_").replace(" ", "_"))
    return STATUSES.get(name) or ("completed" if results else "unknown")


def _results(task: Mapping[str, Any], kind: Kind | None) -> Iterator[Result]:
    """Every link once: those of ``results`` first, then those of ``result_data``."""
    links: set[str] = set()
    for link, of_kind in _links(task):
        if link not in links:
            links.add(link)
            yield Result(link, of_kind or kind)


def _links(task: Mapping[str, Any]) -> Iterator[tuple[str, Kind | None]]:
    remaining = MAX_LINKS
    for value, of_kind in _candidates(task):
        if link := as_link(value):
            remaining -= len(link)
            if remaining < 0:
                return
            yield link, of_kind


def _candidates(task: Mapping[str, Any]) -> Iterator[tuple[object, Kind | None]]:
    for entry in [task.get("results"), *as_list(task.get("results"))]:
        yield entry, None
    for source in (task.get("results"), task.get("result_data"), task.get("output")):
        for item in nested_objects(source):
            for key, of_kind in URL_KEYS.items():
                yield item.get(key), of_kind


def _outputs(result_data: object) -> Iterator[tuple[str, str]]:
    for key, value in islice(_facts(result_data), MAX_ITEMS):
        text = as_line(value, MAX_OUTPUT)
        if text and not as_link(value) and key != "duration":
            yield as_line(key, MAX_STATUS), text


def _facts(result_data: object) -> Iterator[tuple[str, object]]:
    for item in nested_objects(result_data):
        # Beside a link, the id is what a later call takes; a title or a length says nothing new.
        named = {"result_id": item["result_id"]} if "result_id" in item else item
        yield from named.items()
