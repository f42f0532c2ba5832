"""What was asked for from this process, by task: a memory beside the history, which may be off.

The newest few hundred are kept, with their long texts cut, and so many bytes of each owner. Nothing here is written
down.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evolink_mcp.jobs.history import NO_WISH, TaskRecord, task_record

MAX_REQUESTS = 500
MAX_CANDIDATES = 100
MAX_TEXT_CHARACTERS = 500  # of one text of a request
MAX_BYTES_PER_OWNER = 512 * 1024
MAX_BYTES = 8 * 1024 * 1024

_Key = tuple[str, str]  # owner, task id


@dataclass(frozen=True)
class Request:
    """A paid request. ``params`` are its parameters, ``model`` among them, with long texts cut; ``wish`` is what was
    asked of its results."""

    kind: str
    params: Mapping[str, Any]
    wish: Mapping[str, object] = field(default_factory=dict[str, object])


class Requests:
    """The requests of this process whose tasks are known, and those whose task is only probably known.

    After an unknown outcome, the gateway's list may show a task that is probably the request's: a **candidate**. It
    becomes the request's task when its owner checks it.
    """

    def __init__(self) -> None:
        self._known = _Stock(MAX_REQUESTS)
        self._candidates = _Stock(MAX_CANDIDATES)

    def add(
        self, owner: str, task_id: str, kind: str, body: Mapping[str, object], wish: Mapping[str, object] = NO_WISH
    ) -> None:
        """Remembers what a task was asked for."""
        self._known.put((owner, task_id), Request(kind, _cut(body), wish))

    def find(self, owner: str, task_id: str) -> Request | None:
        """What a task was asked for, if it was made from this process by this owner."""
        return self._known.get((owner, task_id))

    def has_of(self, owner: str) -> bool:
        """Whether a task was made from this process by this owner, lately: the gateway takes their key."""
        return self._known.has_of(owner)

    def add_candidate(self, owner: str, task_id: str, kind: str, body: Mapping[str, object]) -> None:
        """Remembers a request whose task is probably this one."""
        self._candidates.put((owner, task_id), Request(kind, _cut(body)))

    def confirm(self, owner: str, task_id: str, now: float) -> TaskRecord | None:
        """Takes a candidate for the request's task; the record to be kept of it, the first time only."""
        candidate = self._candidates.pop((owner, task_id))
        if candidate is None:
            return None
        self.add(owner, task_id, candidate.kind, candidate.params)
        return task_record(task_id, candidate.kind, candidate.params, now)


class _Stock:
    """At most ``most`` requests. Where there are too many, or too many bytes of them, whoever has the most bytes loses
    the oldest of theirs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[_Key, tuple[Request, int]] = OrderedDict()
        self._bytes: Counter[str] = Counter()

    def get(self, key: _Key) -> Request | None:
        return self._kept.get(key, (None, 0))[0]

    def has_of(self, owner: str) -> bool:
        return owner in self._bytes

    def put(self, key: _Key, request: Request) -> None:
        self.pop(key)
        size = len(json.dumps([request.params, dict(request.wish)], default=str))
        self._kept[key] = (request, size)
        self._bytes[key[0]] += size
        while self._bytes[key[0]] > MAX_BYTES_PER_OWNER:
            self._drop_oldest(key[0])
        while len(self._kept) > self._most or self._bytes.total() > MAX_BYTES:
            self._drop_oldest(max(self._bytes, key=self._bytes.__getitem__))

    def pop(self, key: _Key) -> Request | None:
        request, size = self._kept.pop(key, (None, 0))
        if request is not None:
            self._bytes[key[0]] -= size
            if not self._bytes[key[0]]:
                del self._bytes[key[0]]
        return request

    def _drop_oldest(self, owner: str) -> None:
        self.pop(next(key for key in self._kept if key[0] == owner))


def _cut(body: Mapping[str, object]) -> Mapping[str, object]:
    texts = {name: value[:MAX_TEXT_CHARACTERS] for name, value in body.items() if isinstance(value, str)}
    return {**body, **texts}
