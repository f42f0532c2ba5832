"""The gateway's answers, read without trusting their shape.

S1 and S2 describe fields that newer answers spell otherwise (``id``, not
``task_id``; ``results`` of strings; ``result_data`` as list or object; an error
code that is a number or a string, or an ``error`` that is only a string).
Everything is read as "this, if it is what it should be, else absent".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

Status = Literal["pending", "processing", "completed", "failed", "cancelled", "unknown"]
Kind = Literal["image", "video", "audio", "text"]

FINAL: frozenset[Status] = frozenset({"completed", "failed", "cancelled"})
_STATUSES: dict[str, Status] = {
    "pending": "pending",
    "processing": "processing",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
}
_REQUEST_ID = re.compile(r"\(\s*request id:\s*([\w.-]{1,80})\s*\)\s*$", re.IGNORECASE)
_URL_KEYS: dict[str, Kind | None] = {
    "url": None,
    "image_url": "image",
    "video_url": "video",
    "audio_url": "audio",
    "stream_audio_url": "audio",
    "profile_picture_url": "image",
}
MAX_MESSAGE = 500


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

    ``age`` is how many seconds old it was when the gateway answered, by the gateway's own clock.

    ``made`` holds what was made that has no link (a character's name, an element's id).
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
    made: tuple[tuple[str, str], ...] = ()
    result_count: int | None = None
    error: Problem | None = None

    @property
    def final(self) -> bool:
        return self.status in FINAL


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


def as_object(value: object) -> Mapping[str, Any]:
    """``value`` where it is a JSON object, else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """``value`` where it is a JSON array, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_text(value: object) -> str:
    """``value`` where it is a string or a number, as a string, else ""."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def as_number(value: object) -> float | None:
    """``value`` where it is a finite number (numbers in strings too), else ``None``."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 1e15 else None


def as_whole(value: object) -> int | None:
    """``value`` as a whole number, else ``None``."""
    number = as_number(value)
    return None if number is None else round(number)


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
    message = " ".join(as_text(inner.get("message")).split())
    found = _REQUEST_ID.search(message)
    code = inner.get("code")
    return Problem(
        message=shorten(_REQUEST_ID.sub("", message).strip()),
        code=shorten(as_text(code) or as_text(inner.get("type")), 80),
        request_id=as_text(inner.get("request_id"))
        or as_text(outer.get("request_id"))
        or (found.group(1) if found else ""),
        advice=shorten(as_text(inner.get("fallback_suggestion")), 200),
        action_url=shorten(as_text(inner.get("action_url")), 200),
    )


def parse_task(body: object, date: float | None = None) -> Task | None:
    """The task in an answer that was given at ``date``, by the gateway's clock; ``None`` where it has no id."""
    outer = as_object(body)
    identifier = outer.get("id")
    if not isinstance(identifier, str) or not identifier:
        return None
    raw_status = as_text(outer.get("status"))
    info, usage = as_object(outer.get("task_info")), as_object(outer.get("usage"))
    cost = as_object(usage.get("cost"))
    status = _STATUSES.get(raw_status.lower(), "unknown")
    kind = _kind(outer)
    created = _time(outer.get("created")) or _time(outer.get("created_at"))
    return Task(
        id=identifier,
        status=status,
        raw_status=shorten(raw_status, 40),
        kind=kind,
        model=as_text(outer.get("model")),
        progress=_percent(outer.get("progress")),
        created=created,
        age=None if created is None or date is None else max(date - created, 0.0),
        estimated_seconds=as_whole(info.get("estimated_time")),
        credits_reserved=as_number(usage.get("credits_reserved")),
        credits_used=_first_number(usage.get("credits_used"), cost.get("credits"), outer.get("credits_used")),
        results=tuple(_results(outer, kind)),
        made=tuple(_made(outer.get("result_data"))),
        result_count=as_whole(outer.get("result_count")),
        error=parse_problem(outer) if status in ("failed", "cancelled") else None,
    )


def parse_file(body: object) -> StoredFile | None:
    """The stored file in a ``data`` object; ``None`` where it has no id."""
    data = as_object(body)
    identifier = as_text(data.get("file_id"))
    if not identifier:
        return None
    return StoredFile(
        file_id=identifier,
        file_name=as_text(data.get("file_name")),
        original_name=as_text(data.get("original_name")),
        file_size=as_whole(data.get("file_size")),
        mime_type=as_text(data.get("mime_type")),
        file_url=as_text(data.get("file_url")),
        download_url=as_text(data.get("download_url")),
        upload_time=as_text(data.get("upload_time")),
        expires_at=as_text(data.get("expires_at")),
    )


def parse_quota(body: object) -> Quota:
    """The quota in a ``data`` object."""
    data = as_object(body)
    return Quota(
        used_files=as_whole(data.get("used_files")),
        max_files=as_whole(data.get("max_files")),
        remain_files=as_whole(data.get("remain_files")),
        user_group=as_text(data.get("user_group")),
    )


def shorten(text: str, length: int = MAX_MESSAGE) -> str:
    """``text``, cut to ``length`` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _kind(task: Mapping[str, Any]) -> Kind | None:
    for word in (as_text(task.get("type")), as_text(task.get("object")).split(".")[0]):
        if word in ("image", "video", "audio", "text"):
            return word
    return None


def _percent(value: object) -> int | None:
    number = as_whole(value)
    return None if number is None else min(max(number, 0), 100)


def _time(value: object) -> float | None:
    """Seconds since 1970; milliseconds are told by their size, and what is no time of our age is absent."""
    number = as_number(value)
    if number is not None and number > 1e11:
        number /= 1000.0
    return number if number is not None and 0 < number < 1e11 else None


def _first_number(*values: object) -> float | None:
    return next((number for number in map(as_number, values) if number is not None), None)


def _items(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects in a list or an object, nested lists of objects (songs) included."""
    for entry in as_list(value):
        yield from _items(entry)
    item = as_object(value)
    if item:
        yield item
    for inner in item.values():
        yield from _items(inner)


def _results(task: Mapping[str, Any], kind: Kind | None) -> Iterator[Result]:
    """Every link once: those of ``results`` first, then those of ``result_data``."""
    found: dict[str, Kind | None] = {}
    for entry in [task.get("results"), *as_list(task.get("results"))]:
        if isinstance(entry, str) and _is_link(entry):
            found.setdefault(entry, kind)
    for source in (task.get("results"), task.get("result_data"), task.get("output")):
        for item in _items(source):
            for key, of_kind in _URL_KEYS.items():
                url = item.get(key)
                if isinstance(url, str) and _is_link(url):
                    found.setdefault(url, of_kind or kind)
    return (Result(url, of_kind) for url, of_kind in found.items())


def _is_link(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def _made(result_data: object) -> Iterator[tuple[str, str]]:
    for item in _items(result_data):
        for key, value in item.items():
            text = as_text(value)
            if text and not _is_link(text) and key not in ("duration", "result_id"):
                yield key, shorten(text, 120)
