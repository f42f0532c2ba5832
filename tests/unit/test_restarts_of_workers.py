"""A worker that cannot be started again at once is started later: the others serve on."""

from __future__ import annotations

import errno
import logging
import multiprocessing.context
from multiprocessing.connection import Connection

import anyio
import pytest

from evolink_mcp.transports.http import workers
from evolink_mcp.transports.http.workers import Workers


def serve_for_no_time(ready: Connection) -> None:
    ready.send_bytes(b"ready")


async def test_a_worker_that_finds_no_memory_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "RESTART_SECONDS", 0.0)
    start, starts = multiprocessing.context.SpawnProcess.start, [0]
    fleet = Workers(serve_for_no_time, 1)

    def start_or_fail(process: multiprocessing.context.SpawnProcess) -> None:
        starts[0] += 1
        if starts[0] == 2:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        fleet.stopping = starts[0] == 3
        start(process)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", start_or_fail)
    caplog.set_level(logging.ERROR)
    async with anyio.create_task_group() as group:
        with anyio.fail_after(240):
            await group.start(fleet.keep, 1)
            await fleet.ended.wait()
    assert starts == [3]
    assert "cannot be started (Cannot allocate memory)" in caplog.text
