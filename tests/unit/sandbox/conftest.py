"""One sandbox for the whole room, as new before every test. Tasks end as soon as their files exist."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.serve import ThreadedSandbox
from tests.unit.sandbox.lab import Lab
from tests.unit.sandbox.web import Web

AT_ONCE = SandboxConfig(image_seconds=0, video_seconds=0, audio_seconds=0)


@pytest.fixture(scope="session")
def one_lab() -> Iterator[Lab]:
    with ThreadedSandbox(AT_ONCE) as threaded:
        lab = Lab(threaded.running)
        yield lab
        lab.close()


@pytest.fixture
def lab(one_lab: Lab) -> Lab:
    one_lab.control("POST", "reset")
    one_lab.config(image_seconds=0, video_seconds=0, audio_seconds=0, link_seconds=86_400, max_files=100)
    return one_lab


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> int:
    for module in ("files", "uploads", "fetch"):
        monkeypatch.setattr(f"evolink_mcp.sandbox.{module}.MAX_FILE_BYTES", 1000)
    return 1000


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """The other side hung up, as it may."""

    server = Server(("127.0.0.1", 0), Web)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
