"""How long clients wait for an answer, learnt from the waits that they gave up.

A client with a short time-out hears nothing of a wait that is longer. Later waits
of the same client stay within the patience it showed, so that it hears of its
task, and say which setting makes longer ones possible.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.deadlines import GRACE_SECONDS

MIN_SECONDS = 1.0  # less is no time-out: somebody changed their mind, or made two calls at once
WAIT_SHARE = 0.7  # of the patience shown; a poll under way, and the answer's way back, need the rest
WHOLE_SHARE = 0.9
KEEP_SECONDS = 3600.0
MAX_CLIENTS = 1_000

# Which setting a client's time-out is, by the name it presents. Most frameworks of Python present their SDK's.
SETTINGS = {
    "mcp": "client_session_timeout_seconds in openai-agents, read_timeout_seconds in AutoGen, timeout_seconds in agno, "
    "invocation_timeout in Haystack, timeout in Google ADK and LlamaIndex",
    "claude-code": "MCP_TOOL_TIMEOUT, in milliseconds",
    "codex-mcp-client": "tool_timeout_sec in config.toml",
    "gemini-cli-mcp-client": "timeout of the server's entry, in milliseconds",
    "opencode": "timeout of the server's entry, in milliseconds",
    "Cline": "timeout of the server's entry, in seconds",
}


@dataclass(frozen=True)
class Client:
    """Who waits. ``alone``: one connection is all there is of it, so that it makes one call for a task at a time."""

    owner: str
    name: str = ""
    alone: bool = False


@dataclass(frozen=True)
class Allowance:
    """How many seconds after a call came in its wait may last, how many more its last poll may take, and why."""

    seconds: float
    grace: float = GRACE_SECONDS
    notes: tuple[str, ...] = ()


class Patience:
    """The patience of the clients of one process, each remembered for an hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown: OrderedDict[Client, tuple[float, float]] = OrderedDict()  # seconds, and when
        self._waits: dict[tuple[Client, str], float] = {}

    @contextmanager
    def waiting(self, client: Client, task_id: str, started: float, seconds: float) -> Generator[Allowance]:
        """Allows a call that came in at ``started`` to wait, and learns from it if it is cancelled in the block.

        A client that is ``alone`` and asks again for the same task has given up the
        wait before: not every client says so.
        """
        wait = (client, task_id)
        if client.alone and (before := self._waits.get(wait)) is not None:
            self._learn(client, started - before)
        if seconds > 0:
            self._waits[wait] = started
        try:
            yield self._allowance(client, seconds)
        except anyio.get_cancelled_exc_class():
            if seconds > 0:
                self._learn(client, self._clock.monotonic() - started)
            raise
        finally:
            if self._waits.get(wait) == started:
                del self._waits[wait]

    def _allowance(self, client: Client, seconds: float) -> Allowance:
        shown, at = self._shown.get(client, (0.0, 0.0))
        if not shown or self._clock.monotonic() - at > KEEP_SECONDS:
            return Allowance(seconds)
        bound = min(seconds, WAIT_SHARE * shown)
        grace = min(GRACE_SECONDS, WHOLE_SHARE * shown - bound)
        if bound == seconds:
            return Allowance(seconds, grace)
        setting = SETTINGS.get(client.name, "docs/frameworks.md names it for each framework")
        return Allowance(
            bound,
            grace,
            (
                f"Your client gave up an earlier wait after {shown:.0f} s, so waits now end after {bound:.1f} s. "
                f"For longer ones the user can raise the client's time-out for tool calls ({setting}).",
            ),
        )

    def _learn(self, client: Client, seconds: float) -> None:
        if seconds < MIN_SECONDS:
            return
        now = self._clock.monotonic()
        shown, at = self._shown.pop(client, (seconds, now))
        self._shown[client] = (min(shown, seconds) if now - at <= KEEP_SECONDS else seconds, now)
        while len(self._shown) > MAX_CLIENTS:
            self._shown.popitem(last=False)
