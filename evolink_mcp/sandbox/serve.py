"""Running the sandbox: inside an event loop, inside a thread, or as a command. On 127.0.0.1 only."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import uvicorn
from starlette.applications import Starlette

from evolink_mcp.sandbox.app import create_app
from evolink_mcp.sandbox.clock import Clock
from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.connections import DroppableProtocol
from evolink_mcp.sandbox.state import Sandbox

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that answers at ``url``."""

    url: str
    sandbox: Sandbox


class _Server(uvicorn.Server):
    """uvicorn without signal handlers, which says when it is up and does not wait for anybody when it stops."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=DroppableProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,  # the sandbox tells its own time
                timeout_keep_alive=60,
                timeout_graceful_shutdown=2,
            )
        )
        self.settled = asyncio.Event()
        self._sandbox: Sandbox = app.state.sandbox

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.settled.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self._sandbox.closing.set()
        # Whoever still hangs on a stalled answer would otherwise hold the server up.
        for connection in list(self.server_state.connections):
            if isinstance(connection, DroppableProtocol):
                connection.transport.abort()
        await super().shutdown(sockets)


@asynccontextmanager
async def running_sandbox(
    config: SandboxConfig | None = None, *, port: int = 0, clock: Clock | None = None
) -> AsyncGenerator[RunningSandbox]:
    """Serve in the current asyncio event loop until the block ends; port 0 takes a free one.

    Raises:
        OSError: Naming the address when the port is taken.
    """
    with _listen(port) as listener:
        app = create_app(config, clock=clock)
        server = _Server(app)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.settled.wait()
            if not server.started:
                await serving
            yield RunningSandbox(f"http://{HOST}:{listener.getsockname()[1]}", app.state.sandbox)
        finally:
            with anyio.CancelScope(shield=True):
                server.should_exit = True
                await serving


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off, and answers do not wait for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            # There it would let two servers share the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as problem:
        listener.close()
        raise OSError(problem.errno, f"cannot listen on {HOST}:{port}: {problem.strerror}") from problem
    return listener


class ThreadedSandbox:
    """The same in a thread with an event loop of its own, for callers that have none.

    with ThreadedSandbox(SandboxConfig(image_seconds=0)) as sandbox:
        httpx2.get(sandbox.url + "/_sandbox/ledger")
    """

    def __init__(self, config: SandboxConfig | None = None, *, port: int = 0, clock: Clock | None = None) -> None:
        self._config = config
        self._port = port
        self._clock = clock
        self._started: Future[RunningSandbox] = Future()
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._stop: Callable[[], object] = lambda: None

    @property
    def running(self) -> RunningSandbox:
        return self._started.result()

    @property
    def url(self) -> str:
        return self.running.url

    def __enter__(self) -> ThreadedSandbox:
        """Start, and return once it answers. Raises whatever kept it from starting."""
        self._thread.start()
        self._started.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as problem:  # the top of this thread
            if self._started.done():
                raise
            # Whoever starts the sandbox waits for this future, and gets the reason from it.
            self._started.set_exception(problem)

    async def _serve(self) -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(done.set)
        async with running_sandbox(self._config, port=self._port, clock=self._clock) as running:
            self._started.set_result(running)
            await done.wait()


def serve_forever(
    config: SandboxConfig | None = None, port: int = 0, *, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve until Ctrl-C or a termination signal, then return.

    ``on_ready`` is called with the URL once the sandbox answers.

    Raises:
        OSError: When the port is taken.
    """

    async def main() -> None:
        done = asyncio.Event()
        with contextlib.suppress(NotImplementedError, AttributeError):  # Windows has no signals in its event loop
            for ending in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(ending, done.set)
        async with running_sandbox(config, port=port) as running:
            if on_ready is not None:
                on_ready(running.url)
            await done.wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
