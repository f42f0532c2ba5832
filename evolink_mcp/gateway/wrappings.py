"""Where the task is in an answer: some gateways pass it on inside other objects, with ids of their own around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from evolink_mcp.gateway.statuses import STATUSES, Kind
from evolink_mcp.gateway.values import as_id, as_link, as_list, as_object, as_text, is_task_id, nested_objects

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
MAX_TEXT = 400_000  # characters of an answer that are searched for ids
MAX_CANDIDATES = 200  # ids of each kind; a few are shown
_ESCAPED_BLANK = re.compile(r"\\[bfnrt]")
_PREFIX, _MAX_SHAPE = "task-", 125  # the gateway's own ids begin so, and hold a digit
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


def ids_of_tasks(body: object, raw: str = "", *, request: str = "") -> list[str]:
    """Every id in an answer that is called a task's, stands beside a task's status or looks like one, wherever it is.

    Args:
        raw: The answer's text, where it is no JSON.
        request: Its body; ids that stand in it are not new.
    """
    text = (raw or json.dumps(body, ensure_ascii=False))[:MAX_TEXT]
    runs: Iterator[str] = (match[0] for match in _RUN.finditer(_ESCAPED_BLANK.sub(" ", text)))
    shaped = islice((each for run in runs if (each := _shaped(run))), MAX_CANDIDATES)
    found = dict.fromkeys((*shaped, *islice(_named(body), MAX_CANDIDATES)))
    return [each for each in found if each and each not in request]


def _shaped(run: str) -> str:
    """The id that a run of letters, digits and hyphens begins with, as near to its first digit as ids are; else ""."""
    digit = _DIGIT.search(run)
    if digit is None:
        return ""
    start = 0 if digit.start() < _MAX_SHAPE else run.find(f"-{_PREFIX}", digit.start() - _MAX_SHAPE, digit.start()) + 1
    return run[start : start + _MAX_SHAPE] if start or digit.start() < _MAX_SHAPE else ""


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
