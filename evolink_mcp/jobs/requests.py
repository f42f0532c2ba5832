"""What was asked for from this process, by task: a memory beside the history, which may be off.

The newest few hundred are kept, with their long texts cut. Nothing here is written down.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evolink_mcp.jobs.history import NO_WISH, TaskRecord, task_record

MAX_REQUESTS = 500
MAX_CANDIDATES = 100
MAX_TEXT_CHARACTERS = 500  # of one text of a request

_Key = tuple[str, str]  # owner, task id


@dataclass(frozen=True)
class Request:
    """A paid request. ``params`` are its parameters, ``model`` among them, with long texts cut; ``wish`` is what was
    asked of its results."""

    kind: str
    params: Mapping[str, Any]
    wish: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass
class Requests:
    """The requests of this process whose tasks are known, and those whose task is only probably known.

    After an unknown outcome, the gateway's list may show a task that is probably the request's: a **candidate**. It
    becomes the request's task when its owner checks it.
    """

    _known: OrderedDict[_Key, Request] = field(default_factory=OrderedDict[_Key, Request])
    _candidates: OrderedDict[_Key, tuple[str, Mapping[str, object]]] = field(
        default_factory=OrderedDict[_Key, tuple[str, Mapping[str, object]]]
    )

    def add(
        self, owner: str, task_id: str, kind: str, body: Mapping[str, object], wish: Mapping[str, object] = NO_WISH
    ) -> None:
        """Remembers what a task was asked for."""
        texts = {name: value[:MAX_TEXT_CHARACTERS] for name, value in body.items() if isinstance(value, str)}
        self._known[owner, task_id] = Request(kind, {**body, **texts}, wish)
        while len(self._known) > MAX_REQUESTS:
            self._known.popitem(last=False)

    def find(self, owner: str, task_id: str) -> Request | None:
        """What a task was asked for, if it was made from this process by this owner."""
        return self._known.get((owner, task_id))

    def has_of(self, owner: str) -> bool:
        """Whether a task was made from this process by this owner, lately: the gateway takes their key."""
        return any(each == owner for each, _ in self._known)

    def add_candidate(self, owner: str, task_id: str, kind: str, body: Mapping[str, object]) -> None:
        """Remembers a request whose task is probably this one."""
        self._candidates[owner, task_id] = (kind, body)
        while len(self._candidates) > MAX_CANDIDATES:
            self._candidates.popitem(last=False)

    def confirm(self, owner: str, task_id: str, now: float) -> TaskRecord | None:
        """Takes a candidate for the request's task; the record to be kept of it, the first time only."""
        candidate = self._candidates.pop((owner, task_id), None)
        if candidate is None:
            return None
        kind, body = candidate
        self.add(owner, task_id, kind, body)
        return task_record(task_id, kind, body, now)
