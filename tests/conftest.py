"""What every test stands on: a scrubbed environment, a sandbox on loopback, a clock that does not wait."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpcore2
import hypothesis
import pytest
from mcp.client import Client
from mcp_types import CallToolResult

from evolink_mcp.gateway import Caller, Transport, certificates
from evolink_mcp.guard.addresses import parse_address
from evolink_mcp.guard.stderr import Stderr
from evolink_mcp.jobs.shared import store as store_module
from evolink_mcp.jobs.shared.store import Store
from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.serve import ThreadedSandbox
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings, is_loopback
from evolink_mcp.tools.app import App
from tests.contract.ledgers import set_silence
from tests.programs import RedisServer
from tests.support import KEY, FakeClock, Sandbox, SandboxClock, text_of
from tests.wording import offences

# A check of a clone says the same twice; searching on is for the people at work on it. How long an example takes says
# how busy the machine is.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("patient"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "patient")

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # malloc.h


def pytest_configure() -> None:
    """Gives large blocks back to the system: by default glibc keeps ever larger ones, and workers grow by as much."""
    if mallopt := getattr(ctypes.CDLL(None) if os.name == "posix" else None, "mallopt", None):
        mallopt(M_MMAP_THRESHOLD, 1 << 20)
        mallopt(M_ARENA_MAX, 2)


def pytest_collection_finish() -> None:
    """Leaves what was collected to the end of the run out of every search for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> None:
    """Children inherit what is ignored, and a runner in the background may ignore what the tests send."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGHUP", "SIGQUIT"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def certificates_read_once() -> Iterator[None]:
    """Parses this machine's certificates once, not for each of thousands of apps; other files are read as they are."""
    real, own = ssl.create_default_context, httpcore2.default_ssl_context
    of_machine = {name: os.environ.get(name) for name in certificates.OPENSSL}
    with_file, without_file = cache(partial(real, cafile=of_machine["SSL_CERT_FILE"])), cache(own)

    def create(*rest: Any, cafile: Any = None, **more: Any) -> ssl.SSLContext:
        plain = cafile is not None and cafile == of_machine["SSL_CERT_FILE"] and not rest and not more
        return with_file() if plain else real(*rest, cafile=cafile, **more)

    def default(**options: Any) -> ssl.SSLContext:
        unchanged = all(os.environ.get(name) == value for name, value in of_machine.items())
        return without_file(**options) if unchanged else own(**options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", create)
        patch.setattr(httpcore2, "default_ssl_context", default)
        yield


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("EVOLINK_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_name_leaves_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names resolve without a network: those of example.com to a public address, others not at all."""
    real = socket.getaddrinfo

    def resolve(host: object, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not isinstance(name, str) or is_loopback(name) or parse_address(name) is not None:
            return real(host, *rest, **more)  # pyright: ignore[reportArgumentType]
        if name.endswith("example.com"):
            return real("93.184.216.34", *rest, **more)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture(autouse=True)
def answers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """The answers that the test's clients get to their calls: tool and text. None says what none may say.

    A test whose gateway is not ours says so with ``foreign``: its words are the gateway's.
    """
    real, heard = Client.call_tool, list[tuple[str, str]]()

    async def call_tool(client: Client, name: str, *rest: Any, **more: Any) -> CallToolResult:
        result = await real(client, name, *rest, **more)
        heard.append((name, text_of(result)))
        return result

    monkeypatch.setattr(Client, "call_tool", call_tool)
    yield heard
    if request.node.get_closest_marker("foreign") is None:
        wrong = {f"{tool}: {offence}\n{text}" for tool, text in heard for offence in offences(tool, text)}
        assert not wrong, "\n\n".join(sorted(wrong))


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    clock = SandboxClock()
    with ThreadedSandbox(SandboxConfig(image_seconds=0, video_seconds=0, audio_seconds=0), clock=clock) as threaded:
        sandbox = Sandbox(threaded.url, clock)
        yield sandbox
        sandbox.close()


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """The sandbox, as new: tasks end as soon as their files are made."""
    running_sandbox.reset()
    running_sandbox.configure(image_seconds=0, video_seconds=0, audio_seconds=0, link_seconds=86_400)
    return running_sandbox


@pytest.fixture
def clock(sandbox: Sandbox) -> FakeClock:
    return FakeClock(sandbox)


@pytest.fixture
async def caller(sandbox: Sandbox) -> AsyncIterator[Caller]:
    transport = Transport(sandbox.url, sandbox.url, sandbox.url)
    yield Caller(transport, KEY)
    await transport.aclose()


@pytest.fixture
def settings(sandbox: Sandbox, tmp_path: Path) -> Settings:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    return Settings(
        api_key=KEY,
        base_url=sandbox.url,
        files_url=sandbox.url,
        text_url=sandbox.url,
        upload_dirs=(uploads,),
        output_dir=tmp_path / "out",
    )


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Takes away what a command that the test ran logs to: the stream is closed by the time another test logs."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    root.handlers[:] = [each for each in root.handlers if type(each) not in (logging.StreamHandler, Stderr)]


@pytest.fixture(autouse=True)
def patience_with_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process or a store that a busy machine does not let run is not away. Tests of those that are say so, with
    ``set_silence`` and ``RedisServer.hung``."""
    set_silence(monkeypatch, 600.0)
    for name in ("CONNECT_SECONDS", "READ_SECONDS", "WHOLE_SECONDS"):
        monkeypatch.setattr(store_module, name, 60.0)


@pytest.fixture(autouse=True)
def short_goodbyes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas that end say goodbye twice without the pause between, which every test with two would pay for."""
    monkeypatch.setattr("evolink_mcp.jobs.shared.ledger.GOODBYE_SECONDS", 0.0)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[App], Client]]:
    """Makes in-memory clients of servers over given apps, and closes the apps' pools afterwards."""
    apps: list[App] = []

    def make(app: App, mode: str = "auto") -> Client:
        apps.append(app)
        return Client(create_server(app), mode=mode)

    yield make
    for app in apps:
        await app.aclose()


@pytest.fixture
def app(settings: Settings, clock: FakeClock) -> App:
    """The parts of the server that ``client`` talks to."""
    return App(settings, clock=clock)


@pytest.fixture
async def client(app: App, connect: Callable[[App], Client]) -> AsyncIterator[Client]:
    """A client of the whole server, over the sandbox and a clock that does not wait."""
    async with connect(app) as connected:
        yield connected


@pytest.fixture(params=["auto", "legacy"])
async def either(
    request: pytest.FixtureRequest, settings: Settings, clock: FakeClock, connect: Callable[..., Client]
) -> AsyncIterator[Client]:
    """A client of each protocol era."""
    async with connect(App(settings, clock=clock), request.param) as client:
        yield client


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A store that replicas share."""
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
async def stores(redis: RedisServer) -> AsyncIterator[list[Store]]:
    """Three replicas' connections to one server."""
    made = [Store(redis.url) for _ in range(3)]
    yield made
    for store in made:
        await store.aclose()


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own: no user's files are read or touched."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path / "AppData" / "Roaming"))
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "VSCODE_PORTABLE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
