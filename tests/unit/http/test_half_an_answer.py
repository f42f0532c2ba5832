"""A client that hangs up with half of its answer has not heard it, however slowly it read."""

from __future__ import annotations

import json
import re
import socket

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from evolink_mcp.jobs import open_calls
from evolink_mcp.jobs.delivery import Listener
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.connections import Connection
from tests.serving import ACCEPT, bearer, on, serving
from tests.support import Sandbox
from tests.unit.http.asking import KEY

# Bytes: more than what the process may hold back, and than what a system would take at once. Without the option that
# bounds the latter, more than sockets take however large systems let their buffers grow.
SIZES = [60_000, 500_000] if hasattr(socket, "TCP_NOTSENT_LOWAT") else [8_000_000]


class Padded(HttpApplication):
    """Answers to calls are long."""

    padding = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def pad(message: Message) -> None:
            padding = self.padding if b"task_id" in message.get("body", b"") else b""
            await send({**message, "body": message["body"] + padding} if padding else message)

        await super().__call__(scope, receive, pad)


def call(number: int) -> bytes:
    params = {"name": "generate_image", "arguments": {"prompt": "the same"}}
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()
    headers = {**ACCEPT, **bearer(KEY), "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /mcp HTTP/1.1\r\nhost: localhost\r\n{head}\r\n".encode() + body


async def heard(client: socket.socket) -> str:
    """The task's id, as soon as it is there, of an answer that is longer."""
    content = b""
    while (match := re.search(rb"image task (\S+):", content)) is None:
        content += await anyio.to_thread.run_sync(client.recv, 1_000)
    return match[1].decode()


@pytest.mark.parametrize("size", SIZES)
async def test_who_hangs_up_before_the_socket_had_the_whole_answer_is_not_made_to_pay_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(Padded, "padding", b"\n" * size)
    monkeypatch.setattr(open_calls, "PROXY_SECONDS", 0.0)
    ended = anyio.Event()
    lose = Connection.connection_lost

    def connection_lost(self: Connection, exc: Exception | None) -> None:
        lose(self, exc)
        ended.set()

    monkeypatch.setattr(Connection, "connection_lost", connection_lost)
    async with serving(on(sandbox), make=Padded) as served:
        port = int(served.url.rpartition(":")[2])
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.settimeout(60)
            client.connect(("127.0.0.1", port))
            client.sendall(call(1))
            first = await heard(client)
            await Listener().settle()  # an answer that settles from now on has settled
        with anyio.fail_after(60):
            await ended.wait()
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            client.sendall(call(2))
            again = await heard(client)
    assert (again, sandbox.paid()) == (first, 1)
