"""The networks of companies: certificates of their own, proxies of every kind. What never left costs nothing."""

from __future__ import annotations

import os
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
import trustme
from anyio.abc import SocketAttribute, SocketStream

from evolink_mcp.errors import OutcomeUnknown, Refused, Unreachable
from evolink_mcp.gateway import Caller, Transport, account, certificates, media
from tests.contract.servers import answer, context_of, serving
from tests.support import KEY, Sandbox

BODY = {"model": "gpt-image-2", "prompt": "x"}


@pytest.fixture(autouse=True)
def no_certificates_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in certificates.VARIABLES:
        monkeypatch.delenv(variable, raising=False)


async def created(url: str, seconds: float = 5) -> str:
    """The id of a task made at a gateway."""
    transport = Transport(url, url)
    try:
        return (await media.create(Caller(transport, KEY), "image", BODY, seconds=seconds)).id
    finally:
        await transport.aclose()


async def refusal(url: str, seconds: float = 5) -> Unreachable:
    with pytest.raises(Unreachable) as raised:
        await created(url, seconds)
    assert "Charged: no." in raised.value.render(paid=True)
    return raised.value


@pytest.mark.parametrize("variable", certificates.VARIABLES)
@pytest.mark.parametrize("kind", ["missing", "empty", "text", "empty folder", "pipe"])
async def test_certificates_that_cannot_be_loaded_are_told_by_their_variable_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sandbox: Sandbox, variable: str, kind: str
) -> None:
    path = tmp_path / "ca"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "missing":
        path.write_text("root:x:0:0" if kind == "text" else "", encoding="utf-8")
    monkeypatch.setenv(variable, str(path))
    error = await refusal(sandbox.url)
    assert error.code == "bad_certificates"
    assert variable in error.what
    assert variable in error.next_step
    assert sandbox.paid() == 0


@pytest.mark.parametrize("variable", certificates.VARIABLES)
@pytest.mark.parametrize("kind", ["missing", "pipe"])
async def test_a_log_of_keys_that_cannot_be_written_is_told_by_its_own_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sandbox: Sandbox, variable: str, kind: str
) -> None:
    path = tmp_path / "logs" / "keys"
    if kind == "pipe":
        path.parent.mkdir()
        os.mkfifo(path)
    (tmp_path / "certificates").mkdir()
    authority = tmp_path / "certificates" / "0123abcd.0"
    trustme.CA().cert_pem.write_to_path(str(authority))
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    monkeypatch.setenv(variable, str(authority.parent if variable == "SSL_CERT_DIR" else authority))
    error = await refusal(sandbox.url)
    assert error.code == "bad_certificates"
    assert "SSLKEYLOGFILE" in error.what
    assert "SSLKEYLOGFILE" in error.next_step
    assert not path.is_file()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
async def test_the_certificates_of_a_company_are_trusted_where_the_environment_names_them(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    authority = trustme.CA()
    body = b'{"id": "task-1", "status": "pending"}'
    async with serving(answer(body, "content-type: application/json"), tls=context_of(authority, "127.0.0.1")) as host:
        error = await refusal(host.url(scheme="https", path=""))
        assert "SSL_CERT_FILE" in error.next_step
        with authority.cert_pem.tempfile() as file:
            monkeypatch.setenv(variable, file)
            assert await created(host.url(scheme="https", path="")) == "task-1"


@asynccontextmanager
async def socks_proxy(to: str, greeting: bytes | None = None) -> AsyncGenerator[str]:
    """A SOCKS5 proxy that connects to ``to`` whatever it is asked for; or one that says ``greeting`` and no more."""
    parts = urlsplit(to)

    async def pipe(source: SocketStream, target: SocketStream) -> None:
        async for data in source:
            await target.send(data)

    async def handle(client: SocketStream) -> None:
        async with client:
            await client.receive(3)
            if greeting is not None:
                await client.send(greeting)
                return
            await client.send(b"\x05\x00")
            await client.receive(300)
            await client.send(b"\x05\x00\x00\x01" + struct.pack("!IH", 0, 0))
            async with await anyio.connect_tcp(parts.hostname or "", parts.port or 0) as server:
                async with anyio.create_task_group() as group:
                    group.start_soon(pipe, client, server)
                    await pipe(server, client)
                    group.cancel_scope.cancel()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, handle)
            yield f"socks5h://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
            group.cancel_scope.cancel()


async def test_a_socks_proxy_is_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(b'{"id": "task-1"}')) as host, socks_proxy(host.url(path="")) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy)
        assert await created("http://gateway.example.com") == "task-1"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the HTTP client forgets the socket
@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\xff", b"", b"\x00"])
async def test_a_proxy_that_is_none_costs_nothing(monkeypatch: pytest.MonkeyPatch, greeting: bytes) -> None:
    async with socks_proxy("http://127.0.0.1:9", greeting) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy)
        assert (await refusal("http://gateway.example.com")).code == "unreachable"


BAD_PROXIES = (
    "ftp://u:secret@proxy:21",
    "http://proxy:port",
    "http://u:sec/ret@proxy:80",
    "socks4://proxy:1080",
    "${HTTPS_PROXY}",
    "$HTTPS_PROXY",
    "%HTTPS_PROXY%",
    "http://u:secret@${PROXY_HOST}:8080",
    "http://u:secret@127.0.0.1:99999",
    "http://:8080",
)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # anyio forgets the socket of port 99999
@pytest.mark.parametrize("proxy", BAD_PROXIES)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_a_proxy_that_cannot_be_used_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, proxy: str, variable: str
) -> None:
    monkeypatch.setenv(variable, proxy)
    error = await refusal("https://gateway.example.com")
    assert error.code == "bad_proxy"
    assert error.what.startswith(f"{variable} ")
    assert variable in error.next_step
    assert "sec" not in error.what.replace("secrets", "")


async def test_a_proxy_that_cannot_be_reached_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:9")
    error = await refusal("https://gateway.example.com")
    assert error.code == "unreachable"
    assert "HTTPS_PROXY (127.0.0.1:9)" in error.what
    assert "HTTPS_PROXY" in error.next_step
    assert "secret" not in error.render(paid=True)


async def test_a_proxy_that_a_request_does_not_go_through_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "${HTTPS_PROXY}")
    assert "PROXY" not in (await refusal("http://127.0.0.1:9")).render(paid=True)
    monkeypatch.setenv("NO_PROXY", "gateway.invalid")
    assert "PROXY" not in (await refusal("https://gateway.invalid")).render(paid=True)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "LOCALHOST", "[::1]"])
async def test_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    at = "::1" if host == "[::1]" else "0.0.0.0"
    async with serving(answer(b'{"id": "task-1"}'), at=at) as server:
        assert await created(f"http://{host}:{server.port}") == "task-1"


async def test_a_request_that_found_no_connection_in_time_costs_nothing() -> None:
    """A proxy that accepts and never answers: the request has no way to the gateway yet."""

    async def silent(_: str) -> bytes:
        await anyio.sleep(30)
        return b""

    patch = pytest.MonkeyPatch()
    async with serving(silent) as host:
        patch.setenv("HTTPS_PROXY", host.url(path=""))
        try:
            assert "no connection in time" in (await refusal("https://gateway.example.com", 0.3)).what
        finally:
            patch.undo()


async def test_a_request_that_left_and_found_no_answer_in_time_may_have_arrived() -> None:
    async def silent(_: str) -> bytes:
        await anyio.sleep(30)
        return b""

    async with serving(silent) as host:
        with pytest.raises(OutcomeUnknown):
            await created(host.url(path=""), 0.3)


async def test_whoever_stops_a_request_before_it_leaves_stops_it(sandbox: Sandbox, caller: Caller) -> None:
    def stop() -> None:
        raise Refused("Nobody is there any more.", code="cancelled")

    with pytest.raises(Refused):
        await media.create(caller, "image", BODY, seconds=5, depart=stop)
    assert sandbox.paid() == 0
    assert await account.list_tasks(caller, account.TaskFilter(), page_size=5, seconds=5) is not None


async def test_an_error_in_groups_is_told_by_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: object, **__: object) -> None:
        raise ExceptionGroup("unhandled errors in a TaskGroup", [ExceptionGroup("inner", [OverflowError("no way")])])

    monkeypatch.setattr(anyio, "connect_tcp", connect)
    assert "(no way)" in (await refusal("http://127.0.0.1:9")).what
