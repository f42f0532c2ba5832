"""One tool call: who calls, how much time remains, and where progress goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import cached_property
from typing import Any

import anyio
from mcp.server.mcpserver import Context

from evolink_mcp.errors import MissingKey, Refused
from evolink_mcp.gateway import Caller, Exchange, wire
from evolink_mcp.guard.secrets import clean
from evolink_mcp.jobs import belongings
from evolink_mcp.jobs.belongings import Kind
from evolink_mcp.jobs.patience import Allowance, Client
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.sdk.eras import PROGRESS_MESSAGE_SINCE
from evolink_mcp.sdk.listening import wants_progress
from evolink_mcp.tools.app import App
from evolink_mcp.tools.identity import Credential

REQUEST_NUMBER = "evolink.number"  # where a transport's scope has the number of a request


class Call:
    """What a tool's function works with, beside its arguments. Deadlines count from the moment the call came in."""

    def __init__(self, app: App, context: Context[Any, Any]) -> None:
        self.app = app
        self._context = context
        self._started = app.clock.monotonic()
        self.progress = Progress(self._report if _is_heard(context) else None, app.clock.monotonic)
        self.scope = anyio.CancelScope()
        self.paid = False
        self.request_id = ""
        self.gateway_status = 0
        self.task_id = ""

    @cached_property
    def credential(self) -> Credential:
        """Who calls."""
        return self.app.credential_of(self.request)

    @property
    def request(self) -> Any:
        """The transport's request; ``None`` where the transport has none."""
        return self._context.request_context.request

    @property
    def number(self) -> str:
        """The number that the transport gave the request; "" where it gives none."""
        return self.request.scope.get(REQUEST_NUMBER, "") if self.request is not None else ""

    @property
    def caller(self) -> Caller:
        """The gateway under the caller's key.

        Raises:
            MissingKey: None is set.
        """
        if self.credential.key is None:
            raise MissingKey
        return Caller(
            self.app.transport,
            self.credential.key,
            self.credential.owner,
            self._record_exchange,
            self.credential.name,
            self._notice,
        )

    async def admit(self) -> None:
        """Admits the call.

        Raises:
            Refused: The server is stopping, or the caller makes too many calls.
        """
        if self.app.stopping:
            raise Refused(
                "This server is restarting and did not start the call.",
                code="stopping",
                next_step="Make the same call again in a few seconds.",
            )
        seconds = await self.app.limits.admit(self.credential.owner, self.app.clock.monotonic())
        if seconds is not None:
            raise Refused(
                f"This server allows each caller {self.app.calls_per_minute} calls a minute, and you have used them.",
                code="too_many_calls",
                next_step=f"Call again in {max(math.ceil(seconds), 1)} s. To need fewer calls, let check_task wait: "
                "set its wait_seconds.",
                retry_after=seconds,
            )

    async def upload_address(self, names: Mapping[str, str]) -> str | None:
        """A one-time address to which the caller can send a file; ``None`` where the caller is on this machine."""
        if self.app.addresses is None:
            return None
        return await self.app.addresses.new_address(self.request, self.credential, names)

    def own_folder(self, names: dict[str, str]) -> dict[str, str]:
        """The names of a file, in a folder of the caller's own where others share the account: a file replaces another
        of the same name."""
        caller = self.caller
        if caller.owner == caller.account or not names:
            return names
        return {**names, "upload_path": f"{caller.owner}/{names.get('upload_path', '')}".rstrip("/")}

    async def own(self, kind: Kind, names: Sequence[str], *, strict: bool = False) -> list[str]:
        """The names that are not another caller's of the same account; ``strict``: that are the caller's own."""
        owner, owners = self.caller.owner, await self._owners(kind, names)
        return [name for name in names if owners.get(name, "" if strict else owner) == owner]

    async def _owners(self, kind: Kind, names: Sequence[str]) -> Mapping[str, str]:
        """Whose the names are, as far as that is known; the caller's where nobody shares the account."""
        caller = self.caller
        if caller.owner == caller.account or not names:
            return dict.fromkeys(names, caller.owner)
        return await self.app.state.belongings.owners(caller.account, kind, names)

    async def check_own(self, kind: Kind, *names: str) -> None:
        """Refuses what belongs to another caller of the same account.

        Raises:
            Refused: Something does, or nobody can tell now.
        """
        owners = await self._owners(kind, names)
        for name in names:
            match owners.get(name, self.caller.owner):
                case self.caller.owner:
                    pass
                case belongings.UNCERTAIN:
                    raise Refused(
                        f"Several people share this account, and this server cannot tell now whose {kind} "
                        f"{name[:200]} is.",
                        code="owner_unknown",
                        next_step="Call again in a few seconds.",
                    )
                case _:
                    raise Refused(
                        f"There is no {kind} {name[:200]} of yours: somebody else who shares this account made it.",
                        code="not_yours",
                        next_step="Use an id that your own calls returned.",
                    )

    async def note_own(self, kind: Kind, name: str) -> None:
        """Remembers that something is the caller's, where others share the account."""
        caller = self.caller
        if caller.owner != caller.account:
            await self.app.state.belongings.add(caller.account, kind, name, caller.owner)

    def _notice(self, caller: Caller, task: wire.Task) -> None:
        """Has the sums follow what a task says of its credits."""
        self.app.purse.notice(caller, task)

    def _record_exchange(self, exchange: Exchange) -> None:
        self.request_id = exchange.request_id or self.request_id
        self.gateway_status = exchange.status
        if self.app.audit is not None:
            self.app.audit.record_exchange(exchange)

    def remaining(self, seconds: float) -> float:
        """The time to a deadline ``seconds`` after the call came in; never below zero."""
        return max(self._started + seconds - self.app.clock.monotonic(), 0.0)

    def waiting(self, task_id: str, seconds: float) -> AbstractContextManager[Allowance]:
        """Allows the call to wait for a task, no longer than its client has shown to wait."""
        params = self._context.session.client_params
        name = params.client_info.name if params is not None else ""
        alone = self.request is None
        client = Client(self.credential.owner, name, alone)
        return self.app.patience.waiting(client, task_id, self._started, seconds)

    def heartbeat(self) -> AbstractAsyncContextManager[None]:
        """Reports progress at intervals while the block runs, so that the client does not give up on it."""
        return self.app.beats.keep(self.progress)

    async def _report(self, progress: float, message: str) -> None:
        """Sends the progress (of 100) to a client that asked for it."""
        known = self._context.session.protocol_version >= PROGRESS_MESSAGE_SINCE
        await self._context.report_progress(progress, 100.0, str(clean(message)) if known else None)


def _is_heard(context: Context[Any, Any]) -> bool:
    session = getattr(context.request_context, "session", None)
    return session is None or wants_progress(session)
