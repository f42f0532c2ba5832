"""Where the task is in an answer: some gateways pass it on inside other objects, with ids of their own around it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from evolink_mcp.gateway.statuses import Kind
from evolink_mcp.gateway.values import as_id, as_link, as_list, as_object, is_task_id

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
_SHAPE = re.compile(r"\btask-[A-Za-z0-9-]{6,120}")  # as the gateway's own ids are
_MAX_SEARCHED = 100_000  # characters


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


def stray_id_in(body: object) -> str:
    """The only text anywhere in an answer that looks like a task's id; "" where there is none, or several."""
    ids = set(_SHAPE.findall(json.dumps(body)[:_MAX_SEARCHED]))
    return ids.pop() if len(ids) == 1 else ""


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
