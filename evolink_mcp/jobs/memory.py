"""What is remembered beside the gateway: a convenience, never the state.

Everything is kept by owner, a hash of the key a call came with, so that nobody
meets another's task. One small interface, so that replicas can share it.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from evolink_mcp.guard.secrets import fingerprint

KEEP_SECONDS = 600.0  # how long an undelivered answer waits for its caller
MAX_KEPT = 10_000


@dataclass(frozen=True)
class Answer:
    """An answer that never reached its caller: the paid task's id, or what is to be said of an unknown outcome."""

    task_id: str = ""
    what: str = ""
    code: str = ""
    next_step: str = ""


class Memory(Protocol):
    """Tasks this side knows of, and answers about money that never reached their caller."""

    async def note(self, owner: str, task_id: str, now: float) -> None:
        """Remembers that a task's id was received."""
        ...

    async def knows(self, owner: str, task_id: str, now: float) -> bool:
        """Whether that was so, within the last ten minutes."""
        ...

    async def leave(self, owner: str, intent: str, answer: Answer, now: float) -> None:
        """Keeps an answer for the caller who did not get to hear it."""
        ...

    async def take(self, owner: str, intent: str, now: float) -> Answer | None:
        """Hands such an answer out, once."""
        ...


def owner_of(key: str) -> str:
    """Who a key is, without the key."""
    return fingerprint(key)


def intent_of(kind: str, body: Mapping[str, object]) -> str:
    """What a request wants: the same for the same request, whatever the order of its keys."""
    text = json.dumps([kind, body], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class LocalMemory:
    """A memory of this process, bounded in time and size."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._left: OrderedDict[tuple[str, str], list[tuple[float, Answer]]] = OrderedDict()

    async def note(self, owner: str, task_id: str, now: float) -> None:
        self._known[owner, task_id] = now
        self._known.move_to_end((owner, task_id))
        while len(self._known) > MAX_KEPT:
            self._known.popitem(last=False)

    async def knows(self, owner: str, task_id: str, now: float) -> bool:
        noted = self._known.get((owner, task_id))
        return noted is not None and now - noted <= KEEP_SECONDS

    async def leave(self, owner: str, intent: str, answer: Answer, now: float) -> None:
        self._left.setdefault((owner, intent), []).append((now, answer))
        while len(self._left) > MAX_KEPT:
            self._left.popitem(last=False)

    async def take(self, owner: str, intent: str, now: float) -> Answer | None:
        waiting = self._left.pop((owner, intent), [])
        fresh = [(left, answer) for left, answer in waiting if now - left <= KEEP_SECONDS]
        if len(fresh) > 1:
            self._left[owner, intent] = fresh[1:]
        return fresh[0][1] if fresh else None
