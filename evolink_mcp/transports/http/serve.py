"""The process: binds, serves until a signal, and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import cast

import anyio
import uvicorn

from evolink_mcp.errors import SettingsError
from evolink_mcp.jobs.delivery import take_turns
from evolink_mcp.settings import Settings
from evolink_mcp.transports.ending import Signals, abandon_hung_threads, end_signals, get_another
from evolink_mcp.transports.http.application import MAX_HEADERS, HttpApplication
from evolink_mcp.transports.http.connections import BACKLOG, MAX_QUEUE, Connection, Connections, connection_limit
from evolink_mcp.transports.http.holding_off import hold_off
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.warming import warm_up
from evolink_mcp.transports.stdio import SANDBOX_KEY

KEEP_ALIVE = 75.0  # longer than a proxy in front keeps its connections, so that it is not the one that is surprised
LAST_SECONDS = 0.5
HALF_OPEN_SECONDS = 0.05  # for those who have begun to connect
MAX_UNSENT = 16 * 1024  # bytes of an answer that the system holds for a client whose network takes no more

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """uvicorn, with the signals left to us. ``on_listening`` is called once connections are taken."""

    def __init__(
        self, application: HttpApplication, options: HttpOptions, on_listening: Callable[[], None] | None = None
    ) -> None:
        self._on_listening = on_listening
        self.connections = Connections(connection_limit(options.connections))
        application.metrics.watch_connections(self.connections)
        super().__init__(
            uvicorn.Config(
                application,
                http=cast("type[Connection]", partial(Connection, self.connections)),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # the application's own part, with the prefix
                backlog=BACKLOG,
                h11_max_incomplete_event_size=MAX_HEADERS,
                timeout_keep_alive=int(KEEP_ALIVE),
                timeout_graceful_shutdown=1,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, unless the end has come before."""
        if self.should_exit:
            return
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(MAX_QUEUE)  # asyncio has one number for the queue and for how many of it a round accepts
        if self._on_listening is not None:
            self._on_listening()

    async def stop_listening(self, listener: socket.socket) -> None:
        """Takes no connection any more; those that are open stay.

        Who has connected already may have sent a request. The system would reset
        such connections with the listener, so they are accepted first; and asyncio
        drops those that it has accepted and not yet made a connection of.
        """
        if not self.started:
            return
        loop = asyncio.get_running_loop()
        hold_off(listener)
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.remove_reader(listener)
        await take_turns()
        await asyncio.sleep(HALF_OPEN_SECONDS)
        clients: list[socket.socket] = []
        with contextlib.suppress(OSError):  # none is left
            while True:
                clients.append(listener.accept()[0])
        for server in self.servers:
            server.close()
        for client in clients:
            client.setblocking(False)
            await loop.connect_accepted_socket(self._connection, client)

    def _connection(self) -> Connection:
        return Connection(self.connections, self.config, self.server_state, self.lifespan.state)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def run_http(
    settings: Settings,
    options: HttpOptions,
    use_sandbox: bool,
    on_ready: Callable[[str], None] | None = None,
    listener: socket.socket | None = None,
) -> None:
    """Serves until a signal. ``on_ready`` is called with the server's URL. ``listener`` may be bound already.

    Nobody can connect before calls can be served: a balancer would send them here, and they would wait for the start.

    Raises:
        SettingsError: It cannot be served safely as asked for.
        OSError: The address cannot be bound.
    """
    if options.workers > 1 and listener is None:
        from evolink_mcp.transports.http.workers import run_workers

        if use_sandbox:
            raise SettingsError(
                ["--workers does not go with --sandbox: run evolink-mcp sandbox, and set EVOLINK_BASE_URL to it."]
            )
        await run_workers(settings, options, on_ready)
        return
    async with AsyncExitStack() as stack:
        if use_sandbox:
            from evolink_mcp.sandbox.serve import running_sandbox

            sandbox = await stack.enter_async_context(running_sandbox())
            url = sandbox.url
            settings = replace(settings, base_url=url, files_url=url, text_url=url, api_key=SANDBOX_KEY)
        for doubt in options.doubts(settings):
            logger.warning("%s", doubt)
        listener = stack.enter_context(listener or bind(options.host, options.port))
        application = HttpApplication(settings, options)
        warm_up(application.app)  # what is wrong with the operator's own file of models is said here
        stack.push_async_callback(application.app.aclose, LAST_SECONDS)
        url = url_of(options.host, listener)
        if application.resource is not None:
            stack.push_async_callback(application.resource.provider.aclose)
        server = Server(application, options, partial(on_ready, url) if on_ready is not None else None)
        signals = stack.enter_context(end_signals())
        most = server.connections.limit or "any number of"
        logger.info("Serving MCP at %s/mcp, callers by %s, %s connections", url, options.auth, most)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_stop_on_signal, server, application, signals, listener)
                if application.resource is not None:
                    group.start_soon(application.resource.provider.warn_if_away)
                await server.serve(sockets=[listener])
                group.cancel_scope.cancel()
        except* OSError as group:  # another program has begun to listen there since the address was bound
            problem = group.exceptions[0]
            if isinstance(problem, OSError) and not server.started:
                raise _unusable(options.host, options.port, problem) from group
            raise problem from group
    logger.info("Stopped")
    await abandon_hung_threads()


async def _stop_on_signal(
    server: Server, application: HttpApplication, signals: Signals, listener: socket.socket
) -> None:
    """At the first signal ends in order, at another one later at once."""
    async with anyio.create_task_group() as group:
        await signals.get()
        group.start_soon(stop, server, application, listener)
        await get_another(signals)
        await application.stopping.hurry()
        server.should_exit = server.force_exit = True


async def stop(server: Server, application: HttpApplication, listener: socket.socket) -> None:
    """Closes the listener at once, so that balancers go elsewhere, and finishes what there is."""
    logger.info("Stopping: no new connections, %d calls under way", len(application.app.running))
    await server.stop_listening(listener)
    server.connections.announce_ends()
    if server.connections.open:
        await application.drain()
        server.connections.close_proxied()
    await application.stop()
    server.should_exit = True


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket with this address. It does not listen yet.

    With the protocol named, asyncio turns Nagle's algorithm off.

    Args:
        shared: Several of one user may listen there, and the system spreads connections among them (Linux).

    Raises:
        OSError: With the address.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as problem:
        raise OSError(problem.errno, f"cannot listen on {host}: {problem.strerror}") from problem
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6 and host == "::":
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if (option := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:  # its connections inherit it
            bound.setsockopt(socket.IPPROTO_TCP, option, MAX_UNSENT)
        bound.bind(address)
    except OSError as problem:
        bound.close()
        raise _unusable(host, port, problem) from problem
    return bound


def _unusable(host: str, port: int, problem: OSError) -> OSError:
    return OSError(problem.errno, f"cannot listen on {host}:{port}: {problem.strerror}")


def url_of(host: str, listener: socket.socket) -> str:
    """The address at which a listener is reached on this machine."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"
