"""stdio, for hosts that start this server as a child process."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import anyio
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from evolink_mcp.front import Front
from evolink_mcp.sdk.discover import serve_streams
from evolink_mcp.sdk.frames import Frames, bounded, invalid_request
from evolink_mcp.sdk.listeners import Listeners, claimed_stdout, unchanged
from evolink_mcp.sdk.stdin import Stdin, as_file, claimed_stdin
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from evolink_mcp.transports.ending import Signals, abandon_hung_threads, end_signals, finish_calls

SANDBOX_KEY = "sk-sandbox"
WRITE_SECONDS = 3.0  # after the last call has ended, for its answer to be taken
ANSWER_SECONDS = 1.0  # for requests that cost nothing, such as a list of tools
POLL_SECONDS = 0.01
_SPACE = " \t\r\n"  # JSON's own: ``str.strip`` takes control characters too

logger = logging.getLogger(__name__)


async def run_stdio(settings: Settings, use_sandbox: bool, front: Front | None = None) -> None:
    """Serves one client on stdin and stdout until it closes stdin; on the sandbox, if so wanted.

    ``front`` may have begun to answer it.
    """
    async with AsyncExitStack() as stack:
        if use_sandbox:
            from evolink_mcp.sandbox.serve import running_sandbox

            sandbox = await stack.enter_async_context(running_sandbox())
            settings = replace(
                settings,
                base_url=sandbox.url,
                files_url=sandbox.url,
                text_url=sandbox.url,
                api_key=SANDBOX_KEY,
                history=False,  # its tasks end with it
            )
        app = App(settings, on_disk=not use_sandbox)
        if settings.history is not False:
            from evolink_mcp.jobs.file.history import LocalHistory
            from evolink_mcp.jobs.file.ledger import FileLedger

            app.history = history = LocalHistory(settings.base_url, app.clock)
            if settings.state_url is None:
                app.ledger = FileLedger(history.database, settings.base_url)
        if settings.models_file is not None:
            _ = app.registry  # what is wrong with the operator's own file is said at the start
        stack.push_async_callback(app.aclose)
        try:
            await _serve(app, stack, front)
        except* (BrokenPipeError, ConnectionResetError):
            logger.info("The client is gone")
        if front is not None:
            front.recall.close()
    await abandon_hung_threads()


async def _serve(app: App, stack: AsyncExitStack, front: Front | None) -> None:
    listeners = Listeners()

    async def finish() -> None:
        await end_calls(app, frames, listeners, closed_by_client=stdin.closed_by_client)
        group.start_soon(_leave_unread, stack)

    frames = Frames()
    lines_of, pass_on = (front.hand_over, front.pass_on) if front else (iter, unchanged)
    async with anyio.create_task_group() as group:
        with claimed_stdin(finish, lambda lines: bounded(lines_of(lines))) as stdin, end_signals() as signals:
            group.start_soon(_close_on_signal, stdin, signals)
            with claimed_stdout(listeners, frames, pass_on) as stdout:
                async with stdio_server(as_file(frames.split(stdin)), stdout) as (received, sent):
                    server = create_server(app)
                    settle()
                    await serve_streams(server, received, sent, unreadable, listeners)
            group.cancel_scope.cancel()


async def end_calls(app: App, frames: Frames, listeners: Listeners, *, closed_by_client: bool) -> None:
    """Returns once all that was asked is answered, or after its time. Requests that were read before the client closed
    its side are begun first."""
    if closed_by_client:
        await _until(lambda: len(frames.unanswered) <= len(app.running))  # read, and perhaps not begun
        listeners.hang_up()  # what is written from now on may lie in the pipe unread
    await finish_calls(app)
    await _until(lambda: not frames.unanswered)


def settle() -> None:
    """Has garbage collected from now on, and what was made until now left out of every search for it."""
    gc.freeze()
    gc.enable()


async def _until(done: Callable[[], bool]) -> None:
    """Returns once this holds, or after a moment."""
    with anyio.move_on_after(ANSWER_SECONDS):
        while not done():
            await anyio.sleep(POLL_SECONDS)


async def _leave_unread(stack: AsyncExitStack) -> None:
    """Ends the process where a client that reads nothing holds up the writer of stdout, which cannot be cancelled."""
    await anyio.sleep(WRITE_SECONDS)
    logger.warning("The client does not read its answers")
    with anyio.CancelScope(shield=True):
        await stack.pop_all().aclose()
    logging.shutdown()
    os._exit(0)


def unreadable(error: Exception) -> SessionMessage | None:
    """The answer to a line that is no JSON, or no message, or holds half a surrogate pair; ``None`` to anything else.

    The SDK passes such lines over, and a client that sent one as a request would wait for ever.
    """
    problem = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
    if problem is None or problem["type"] != "json_invalid" or not str(problem["input"]).strip(_SPACE):
        return None
    if (answer := invalid_request(str(problem["input"]))) is not None:
        return SessionMessage(answer)
    from evolink_mcp.sdk.sight import error_answer  # rare, and hosts start often

    return SessionMessage(error_answer(str(problem["input"])))


async def _close_on_signal(stdin: Stdin, signals: Signals) -> None:
    """Ends as if the client had closed stdin. In a terminal a second Ctrl-C ends at once, whatever is under way."""
    await signals.get()
    stdin.close()
    while True:
        if await signals.get() == signal.SIGINT and sys.stdin.isatty():
            os._exit(130)
