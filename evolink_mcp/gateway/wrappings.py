"""Where the task is in an answer: some gateways pass it on inside other objects, with ids of their own around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from evolink_mcp.gateway.statuses import STATUSES, Kind
from evolink_mcp.gateway.values import (
    MAX_ITEMS,
    as_id,
    as_link,
    as_list,
    as_object,
    as_text,
    is_task_id,
    nested_objects,
)

_STATUS_ENDS = ("status", "state")
STATUS_KEYS = ("status", "task_status", "state")  # the last two are providers'
URL_KEYS: dict[str, Kind | None] = {
    "url": None,
    "image_url": "image",
    "video_url": "video",
    "audio_url": "audio",
    "stream_audio_url": "audio",
    "profile_picture_url": "image",
}
_NAMED = ("task_id", "taskId", "task_ids")  # S1's and S2's; providers'
_ID_KEYS = ("id", *_NAMED)  # the gateway's own first (S0, S3, S4)
_ENVELOPES = ("data", "task")  # whose own id may be that of the request
_WRAPPERS = (*_ENVELOPES, "result", "output", "response")
_LEVELS = 3
MAX_TEXT = 1_000_000  # characters of an answer that are searched for ids
MAX_CANDIDATES = 200  # ids that are looked for in the request; a few are shown
_ESCAPED_BLANKS = tuple(rf"\{letter}" for letter in "bfnrt")
_PREFIX, _MIN_SHAPE, _MAX_SHAPE = "task-", 11, 125  # the gateway's own ids begin so, and hold a digit
# The whole run of letters: trying each place in it again would take the square of its length.
_RUN = re.compile(rf"\b{_PREFIX}[A-Za-z0-9-]{{6,}}+")
_DIGIT = re.compile("[0-9]")
# "error" and "rejected" may be said of the answer itself.
_WORDS_OF_A_TASK = frozenset({word for word, status in STATUSES.items() if status != "failed"} | {"failed"})


def task_in(body: object, levels: int = _LEVELS) -> tuple[Mapping[str, Any], str]:
    """The object that is the task, and its id; "" where there is none. A list of one stands for its item.

    A paid id must not be lost, and the id of a request or a picture is none: what has a task's words goes first.
    """
    outer = as_object(_only(body))
    own = _id_in(outer, _ID_KEYS)
    for key in _WRAPPERS if levels else ():
        if not as_object(_only(outer.get(key))):
            continue
        inner, found = task_in(outer.get(key), levels - 1)
        rank = _rank(inner)
        if not found or (not rank and any(as_link(inner.get(each)) for each in URL_KEYS)):
            continue
        if not own or (key in _ENVELOPES and (rank > _rank(outer) or not _rank(outer))):
            return inner, found
    return outer, own


class TaskIds(NamedTuple):
    """The ids of tasks in an answer. Unless they are ``all``, it may name more."""

    ids: list[str]
    all: bool


def ids_of_tasks(body: object, raw: str = "", *, request: str = "") -> TaskIds:
    """Every id in an answer that is called a task's, stands beside a task's status or looks like one, wherever it is.

    Args:
        raw: The answer's text, where it is no JSON.
        request: Its body; ids that stand in it are not new.
    """
    text = raw or json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    found, old = dict[str, None](), set(_shaped(request))
    looked_for = 0
    for each in chain(_shaped(text[:MAX_TEXT]), _named(body)):
        if not each or each in found or each in old:
            continue
        if looked_for == MAX_CANDIDATES:
            return TaskIds(list(found), all=False)
        looked_for += 1
        if each in request:
            old.add(each)
        else:
            found[each] = None
    are_all_seen = len(text) <= MAX_TEXT and text.count("{") + text.count("[") <= MAX_ITEMS
    return TaskIds(list(found), all=are_all_seen)


def _shaped(text: str) -> Iterator[str]:
    """What looks like an id: ``task-`` and at most 120 letters, digits and hyphens, with a digit among or behind them.

    Each run of such characters is gone through once.
    """
    for blank in _ESCAPED_BLANKS:
        text = text.replace(blank, " ")
    for run in dict.fromkeys(match[0] for match in _RUN.finditer(text)):
        place = 0
        while place >= 0 and (digit := _DIGIT.search(run, place + len(_PREFIX))):
            if digit.start() - place > _MAX_SHAPE:  # the next one that is near enough to this digit, or behind it
                place = run.find(f"-{_PREFIX}", digit.start() - _MAX_SHAPE - 1) + 1 or -1
                continue
            shape = run[place : place + _MAX_SHAPE]
            if len(shape) >= _MIN_SHAPE:
                yield shape
            place = run.find(f"-{_PREFIX}", place + len(shape) - 1) + 1 or -1


def _named(body: object) -> Iterator[str]:
    """The ids that an answer calls a task's."""
    for item in nested_objects(body):
        words = {as_text(each).strip().lower() for key, each in item.items() if key.lower().endswith(_STATUS_ENDS)}
        for key, value in item.items():
            name = key.lower().replace("_", "").replace("-", "")
            if name in ("taskid", "taskids") or (name == "id" and words & _WORDS_OF_A_TASK):
                yield from (as_id(each) for each in as_list(value) or [value] if each)


def _only(value: object) -> object:
    items = as_list(value)
    return items[0] if len(items) == 1 else value


def _id_in(item: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """The first id that may be sent, or else the first that can be shown."""
    words = [_only(item.get(key)) for key in keys]
    ids = [as_id(word) for word in words if isinstance(word, str)]
    return next((each for each in ids if is_task_id(each)), "") or next(filter(None, ids), "")


def _rank(item: Mapping[str, Any]) -> int:
    """How much an object says that it is a task."""
    if _id_in(item, _NAMED):
        return 2
    return int(any(item.get(key) for key in STATUS_KEYS))
