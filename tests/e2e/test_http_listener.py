"""Who connects while a server closes its listener is served or refused, and never reset."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections import Counter
from contextlib import ExitStack, suppress

import anyio
import pytest

from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.serve import Server, bind
from tests.serving import on
from tests.support import Sandbox

CALLERS, TIMES, MOST = 2, 5, 300


class Caller(threading.Thread):
    """Connects, and asks, again and again, until it is refused; then reads its answers."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._address = ("127.0.0.1", port)
        self.asked = 0
        self.outcomes: Counter[str] = Counter()

    def run(self) -> None:
        with ExitStack() as stack:
            clients: list[socket.socket] = []
            while len(clients) < MOST:
                client = stack.enter_context(socket.socket())
                client.settimeout(30)
                try:
                    client.connect(self._address)
                except OSError:  # nothing was sent
                    break
                clients.append(client)
                self.asked += 1
                with suppress(ConnectionError):
                    client.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            self.outcomes.update(map(_outcome, clients))


def _outcome(client: socket.socket) -> str:
    try:
        return "answered" if client.recv(65536).startswith(b"HTTP/1.1 200") else "closed"
    except ConnectionError:
        return "reset"


@pytest.mark.skipif(sys.platform != "linux", reason="only there can new connections be held off")
async def test_who_connects_while_the_listener_is_closed_is_never_reset(sandbox: Sandbox) -> None:
    outcomes: Counter[str] = Counter()
    for _ in range(TIMES):
        options = HttpOptions()
        application = HttpApplication(on(sandbox), options)
        server = Server(application, options)
        with bind("127.0.0.1", 0) as listener, anyio.fail_after(60):
            serving = asyncio.create_task(server.serve([listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            callers = [Caller(listener.getsockname()[1]) for _ in range(CALLERS)]
            for caller in callers:
                caller.start()
            while not all(caller.asked for caller in callers):
                await asyncio.sleep(0)
            await server.stop_listening(listener)
            while any(caller.is_alive() for caller in callers):
                await asyncio.sleep(0.01)
            for caller in callers:
                outcomes.update(caller.outcomes)
            server.should_exit = True
            await serving
        await application.app.aclose(0)
    assert outcomes.keys() == {"answered"}
