"""Texts: paid for by the same rules as tasks, answered at once, and kept here until somebody has heard them.

A text may take longer than a call: the request then goes on by itself, and the
same request again joins it or gets its answer. Behind a text there is no task,
so its id is ours, and only this process can hand it out: after a restart the same
request is a new text, and charged.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.gateway import Caller, text, wire
from evolink_mcp.jobs.memory import KEEP_SECONDS
from evolink_mcp.jobs.submit import PROMISE_SECONDS, Grown, Kind, Submits

WRITE_SECONDS = 300.0  # how long one text may take, whatever became of the call that asked for it
MAX_KEPT = 1_000


@dataclass(frozen=True)
class Written:
    """A text, and whether it is that of an earlier identical request instead of a new one."""

    message: text.Message
    earlier: bool = False


class Texts(Submits):
    """The texts of one process."""

    promise_seconds = WRITE_SECONDS + PROMISE_SECONDS

    @cached_property
    def _messages(self) -> OrderedDict[str, tuple[float, text.Message]]:
        """When each was written, oldest first."""
        return OrderedDict()

    @asynccontextmanager
    async def written(
        self, caller: Caller, body: Mapping[str, object], *, seconds: float, grown: Grown | None = None
    ) -> AsyncGenerator[Written]:
        """Has a text written with one paid POST, sent within ``seconds``; the block delivers it.

        A caller who cancels this, or whose block does not end well, gets the same
        text with the same request within ten minutes, as long as this process lives.

        Raises:
            Refused, Unreachable, GatewayRefused: Nothing was charged.
            OutcomeUnknown: It may have been.
        """
        async with self.submitted(caller, "text", body, seconds=seconds, grown=grown) as submitted:
            yield Written(self._kept()[submitted.task.id][1], submitted.earlier)
        self._kept().pop(submitted.task.id, None)

    async def _post(
        self, caller: Caller, kind: Kind, body: Mapping[str, object], seconds: float, grown: Grown
    ) -> wire.Task:
        message = await text.create(caller, body, seconds=max(seconds, WRITE_SECONDS), grown=grown)
        identifier, kept = f"text-{secrets.token_hex(8)}", self._kept()
        kept[identifier] = (self._clock.now(), message)
        while len(kept) > MAX_KEPT:
            kept.popitem(last=False)
        return wire.Task(id=identifier, status="completed", kind="text", model=message.model)

    async def _made(self, caller: Caller, kind: Kind, body: Mapping[str, object], task: wire.Task) -> None:
        """A text leaves nothing to be found again."""

    async def _explain(
        self, error: OutcomeUnknown, caller: Caller, model: str, *, since: float, seconds: float
    ) -> OutcomeUnknown:
        what = f"{error.what.rstrip('.')}. Whether the text was charged is unknown."
        step = (
            "Do not call again blindly: that may pay twice, and a text leaves no task to look up. Tell the user, who "
            "can look at the EvoLink dashboard, or compare check_balance if it is offered, before deciding."
        )
        return error.replace(what=what, next_step=step)

    async def _reread(self, caller: Caller, kind: Kind, body: Mapping[str, object], task_id: str) -> wire.Task:
        if task_id in self._kept():
            return wire.Task(id=task_id, status="completed", kind="text")
        raise OutcomeUnknown(
            "The same request was answered before, and that answer is not kept here any more.",
            code="text_lost",
            next_step="Calling again writes, and charges, another text. Let the user decide.",
        )

    def _kept(self) -> OrderedDict[str, tuple[float, text.Message]]:
        """The messages nobody has heard yet, without those that are too old."""
        kept = self._messages
        while kept and self._clock.now() - next(iter(kept.values()))[0] > WRITE_SECONDS + KEEP_SECONDS:
            kept.popitem(last=False)
        return kept
