"""Small hosts on loopback that do as they are told, and note down what was asked of them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

import anyio
import pytest
import trustme
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSListener

from evolink_mcp.guard.addresses import Address
from evolink_mcp.guard.names import Resolver

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 56


def answer(body: bytes = PNG, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole HTTP answer; ``length`` is what it promises, where that is not the truth."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode() + body


def moved(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", f"location: {location}", status=status)


@dataclass
class Host:
    """One host: its port, and the requests it got as (request line, headers)."""

    port: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])
    connected: int = 0

    def url(self, host: str = "127.0.0.1", path: str = "/a.png", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        return [line.split()[1] for line, _ in self.asked]


@asynccontextmanager
async def serving(
    answers: Callable[[str], bytes | Awaitable[bytes]] | bytes = b"",
    *,
    tls: ssl.SSLContext | None = None,
    at: str = "127.0.0.1",
) -> AsyncGenerator[Host]:
    """A host that answers with ``answers``, or with what that says of the path; with a picture by default."""
    host = Host()

    async def handle(stream: anyio.abc.ByteStream) -> None:
        host.connected += 1
        async with stream:
            raw = b""
            while b"\r\n\r\n" not in raw:
                try:
                    raw += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return
            first, *lines = raw.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
            host.asked.append((first, dict(line.lower().split(": ", 1) for line in lines)))
            said = (answers or answer()) if isinstance(answers, bytes) else answers(first.split()[1])
            if not isinstance(said, bytes):
                said = await said
            try:
                await stream.send(said)
                if tls is None and isinstance(stream, SocketStream):
                    await stream.send_eof()
            except (anyio.BrokenResourceError, OSError):
                pass

    async with await anyio.create_tcp_listener(local_host=at) as listener:
        host.port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as group:
            serve = TLSListener(listener, tls, standard_compatible=False).serve if tls else listener.serve
            group.start_soon(serve, handle)
            yield host
            group.cancel_scope.cancel()


def names(table: Mapping[str, Sequence[Sequence[str]]], asked: list[str] | None = None) -> Resolver:
    """A resolver of fixed names: each is answered by its lists of addresses in turn, the last one for ever."""
    times = dict.fromkeys(table, 0)

    async def resolve(host: str, caller: str = "") -> list[Address]:
        if asked is not None:
            asked.append(host)
        if host not in table:
            raise OSError("no such name")
        now = table[host][min(times[host], len(table[host]) - 1)]
        times[host] += 1
        return [ip_address(address) for address in now]

    return resolve


def context_of(authority: trustme.CA, *hosts: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    return context


class trusting:
    """Makes one authority the only one that connections opened inside trust."""

    def __init__(self, authority: trustme.CA) -> None:
        self._file = authority.cert_pem.tempfile()
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        self._patch.setenv("SSL_CERT_FILE", self._file.__enter__())

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
        self._file.__exit__(None, None, None)
