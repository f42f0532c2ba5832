"""Made-up addresses of kept results: whoever asks for them keeps nobody else's call waiting."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
import httpx2
import pytest

from evolink_mcp.media.folder import Folder
from evolink_mcp.transports.http import copies
from tests.contract.asking import call
from tests.serving import on, serving
from tests.support import Sandbox

BOUND = 15.0


async def test_made_up_addresses_on_a_slow_disk_leave_threads_to_calls(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, begun = threading.Event(), list[int]()

    def hang(*_: object, **__: object) -> bytes:
        begun.append(1)
        free.wait(BOUND)
        raise OSError

    async with (
        serving(on(sandbox, keep_dir=tmp_path / "kept")) as served,
        httpx2.AsyncClient(trust_env=False, timeout=60) as http,
        anyio.create_task_group() as group,
    ):
        monkeypatch.setattr(Folder, "read", hang)
        try:
            for _ in range(10 * copies.MAX_LOOKUPS):
                group.start_soon(http.get, f"{served.url}/kept/gAAAA.png")
            with anyio.fail_after(BOUND):
                while len(begun) < copies.MAX_LOOKUPS:
                    await anyio.sleep(0.01)
                for _ in range(5):
                    await call(http, served.url, "list_models")
            assert len(begun) == copies.MAX_LOOKUPS
        finally:
            free.set()
