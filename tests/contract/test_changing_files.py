"""Local files that change while they are read, and other trouble before the paid request: told, and never paid for."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp.client import Client

from evolink_mcp.guard.paths import SteadyFile
from evolink_mcp.media import inputs
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import Sandbox, ok, png, refused

CALL: dict[str, Any] = {"prompt": "make it night", "model": "gpt-image-2"}


@pytest.fixture
def big(settings: Settings) -> Path:
    path = settings.upload_dirs[0] / "big.png"
    path.write_bytes(png(8, 8) + b"x" * 1_000_000)
    return path


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"y" * 1000)


def shrink(path: Path) -> None:
    os.truncate(path, 100)


def edit(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(500_000)
        file.write(b"z")


def put_times_back(path: Path) -> None:
    """As a program does that hides its edit: the time of the last status change still tells."""
    before = path.stat()
    edit(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [grow, shrink, edit, put_times_back])
@pytest.mark.parametrize("moment", [1, 5])
async def test_a_file_that_changes_while_it_is_uploaded_is_told_and_costs_nothing(
    client: Client,
    sandbox: Sandbox,
    big: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    moment: int,
) -> None:
    """The change comes before the first or a later part is read for the upload."""
    parts, real = 0, SteadyFile.read

    def read(file: SteadyFile, size: int | None = -1, /) -> bytes:
        nonlocal parts
        parts += 1
        if parts == moment + 1:  # the very first read looks at the type
            change(big)
        return real(file, size)

    monkeypatch.setattr(SteadyFile, "read", read)
    text = await refused(client, "generate_image", **CALL, image_urls=[str(big)])
    assert "changed while it was being uploaded" in text
    assert "[file_changed]" in text
    assert "Charged: no." in text
    assert sandbox.paid() == 0
    parts = 0
    big.write_bytes(png(8, 8) + b"x" * 1_000_000)
    assert "changed while" in await refused(client, "upload_file", file_path=str(big))


async def test_a_file_that_is_written_to_through_memory_is_not_sent_as_a_mixture(
    client: Client, sandbox: Sandbox, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That changes no time of it, where its pages were written to a moment before."""
    parts, real = 0, SteadyFile.read
    with big.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[1000] = 1

        def read(file: SteadyFile, size: int | None = -1, /) -> bytes:
            nonlocal parts
            parts += 1
            if parts == 4:
                memory[1000] = 2
            return real(file, size)

        monkeypatch.setattr(SteadyFile, "read", read)
        text = await refused(client, "generate_image", **CALL, image_urls=[str(big)])
    assert "changed while it was being uploaded" in text
    assert "Charged: no." in text
    assert (await ok(client, "list_files"))["files"] == []
    assert sandbox.paid() == 0


async def test_a_disk_that_fails_while_a_file_is_read_costs_nothing(
    client: Client, sandbox: Sandbox, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(file: SteadyFile, size: int | None = -1, /) -> bytes:
        if size and size > 1000:
            raise OSError(5, "Input/output error")
        return real(file, size)

    real = SteadyFile.read
    monkeypatch.setattr(SteadyFile, "read", read)
    text = await refused(client, "generate_image", **CALL, image_urls=[str(big)])
    assert "Input/output error" in text
    assert "Charged: no." in text
    assert sandbox.paid() == 0


async def test_a_fault_of_ours_before_the_paid_request_is_not_called_a_charge(
    client: Client, app: App, sandbox: Sandbox, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> list[str]:
        raise RuntimeError("a defect")

    monkeypatch.setattr(type(app.urls), "check_links", broken)
    text = await refused(client, "generate_image", **CALL, image_urls=[str(big)])
    assert "before the paid request was sent" in text
    assert "Charged: no." in text
    assert sandbox.paid() == 0


async def test_a_file_named_very_often_is_opened_once(client: Client, sandbox: Sandbox, big: Path) -> None:
    options = {"model_params": {"anything": [str(big)] * 5000}}
    text = await refused(client, "generate_image", **CALL, image_urls=[str(big)] * 5000, options=options)
    assert "Too many open files" not in text
    assert sandbox.requests() == []


async def test_too_many_files_are_refused(client: Client, sandbox: Sandbox, big: Path) -> None:
    paths = [big.with_name(f"{number}.png") for number in range(inputs.MAX_LOCAL_FILES + 1)]
    for path in paths:
        path.write_bytes(png())
    text = await refused(client, "generate_image", **CALL, image_urls=list(map(str, paths)))
    assert "more than 20 local files" in text
    assert "Charged: no." in text
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("upload_file", {"file_path": "big.png"}), ("generate_image", {**CALL, "image_urls": ["big.png"]})],
)
async def test_a_folder_that_hangs_holds_up_no_other_call(
    client: Client, big: Path, monkeypatch: pytest.MonkeyPatch, tool: str, arguments: dict[str, Any]
) -> None:
    """A share in the network does, and its files are found and opened with the system's own calls."""
    opening, goes_on, system, in_time = threading.Event(), threading.Event(), os.open, list[bool]()

    def hung(path: Any, *more: Any, **named: Any) -> int:
        if str(path).endswith(big.name):
            opening.set()
            in_time.append(goes_on.wait(10))
        return system(path, *more, **named)

    monkeypatch.setattr(os, "open", hung)
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, tool, arguments | ({"dry_run": True} if tool != "upload_file" else {}))
        await anyio.to_thread.run_sync(opening.wait)
        try:
            await ok(client, "list_models", kind="audio")
        finally:
            goes_on.set()
    assert in_time == [True]
