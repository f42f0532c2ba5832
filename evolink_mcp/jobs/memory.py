"""What is remembered beside the gateway: a convenience, never the state.

Everything is kept by owner, a hash of the key a call came with, so that nobody
meets another's task. One small interface, so that replicas can share it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from evolink_mcp.guard.secrets import fingerprint

KEEP_SECONDS = 600.0  # how long an undelivered answer waits for its caller
MAX_KEPT = 10_000


@dataclass(frozen=True)
class Answer:
    """An answer that never reached its caller.

    Either the paid task's id; or what is to be said of an unknown outcome
    (``partial``: what had come of a text); or,
    while the request is still under way, a promise (``pending``); or ``free``:
    the request cost nothing and may be sent again. ``ref`` names the request it
    answers, ``since`` when that began.
    """

    ref: str
    task_id: str = ""
    what: str = ""
    code: str = ""
    next_step: str = ""
    partial: str = ""
    pending: bool = False
    free: bool = False
    since: float = 0.0


class Memory(Protocol):
    """Tasks this side knows of, and answers about money that never reached their caller."""

    async def note(self, owner: str, task_id: str, now: float) -> None:
        """Remembers that a task's id was received."""
        ...

    async def knows(self, owner: str, task_id: str, now: float) -> bool:
        """Whether that was so, within the last ten minutes."""
        ...

    async def leave(self, owner: str, intent: str, answer: Answer, now: float) -> None:
        """Keeps an answer for the caller who did not get to hear it; one that was taken is given back.

        A promise never replaces the answer it was made for.
        """
        ...

    async def settle(self, owner: str, intent: str, answer: Answer, now: float) -> None:
        """Fulfils a promise, for whoever took it or will take it."""
        ...

    async def take(self, owner: str, intent: str, now: float) -> Answer | None:
        """Hands the oldest such answer out, once."""
        ...

    async def look_up(self, owner: str, intent: str, ref: str, now: float) -> Answer | None:
        """The answer to one request as it stands, taken or not."""
        ...


def new_ref() -> str:
    """A name for one request, the same nowhere else."""
    return secrets.token_hex(8)


def owner_of(key: str) -> str:
    """Who a key is, without the key."""
    return fingerprint(key)


def intent_of(kind: str, body: Mapping[str, object]) -> str:
    """What a request wants: the same for the same request, whatever the order of its keys."""
    text = json.dumps([kind, body], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Kept:
    """An answer, when it was left, and whether it was handed out."""

    answer: Answer
    at: float
    taken: bool = False


class LocalMemory:
    """A memory of this process, bounded in time and size."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}  # oldest first; one flat string a task, for there may be thousands
        self._left: OrderedDict[tuple[str, str], dict[str, Kept]] = OrderedDict()

    async def note(self, owner: str, task_id: str, now: float) -> None:
        name = f"{owner} {task_id}"
        self._known.pop(name, None)
        self._known[name] = now
        while len(self._known) > MAX_KEPT:
            del self._known[next(iter(self._known))]

    async def knows(self, owner: str, task_id: str, now: float) -> bool:
        noted = self._known.get(f"{owner} {task_id}")
        return noted is not None and now - noted <= KEEP_SECONDS

    async def leave(self, owner: str, intent: str, answer: Answer, now: float) -> None:
        self._put(owner, intent, answer, now, taken=False)

    async def settle(self, owner: str, intent: str, answer: Answer, now: float) -> None:
        known = self.kept(owner, intent, now).get(answer.ref)
        self._put(owner, intent, answer, now, taken=known is not None and known.taken)

    async def take(self, owner: str, intent: str, now: float) -> Answer | None:
        for ref, kept in self.kept(owner, intent, now).items():
            if not kept.taken:
                self.mark_taken(owner, intent, ref)
                return kept.answer
        return None

    async def look_up(self, owner: str, intent: str, ref: str, now: float) -> Answer | None:
        kept = self.kept(owner, intent, now).get(ref)
        return kept.answer if kept else None

    def kept(self, owner: str, intent: str, now: float) -> dict[str, Kept]:
        """What is kept for a request and still fresh, by its name, oldest first."""
        kept = self._left.get((owner, intent), {})
        for ref in [ref for ref, each in kept.items() if now - each.at > KEEP_SECONDS]:
            del kept[ref]
        if not kept:
            self._left.pop((owner, intent), None)
        return kept

    def mark_taken(self, owner: str, intent: str, ref: str) -> None:
        """Remembers that an answer was handed out."""
        kept = self._left.get((owner, intent), {})
        if ref in kept:
            kept[ref] = replace(kept[ref], taken=True)

    def _put(self, owner: str, intent: str, answer: Answer, now: float, *, taken: bool) -> None:
        known = self.kept(owner, intent, now).get(answer.ref)
        if known and answer.pending and not known.answer.pending:
            answer = known.answer
        self._left.setdefault((owner, intent), {})[answer.ref] = Kept(answer, now, taken)
        while len(self._left) > MAX_KEPT:
            self._left.popitem(last=False)
