"""Results on the user's disk, by the real program: killed half-way, started again, and never showing its key."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
from PIL import Image

from evolink_mcp.media.folder import PARTIAL_SUFFIX
from tests.e2e.raw import RawHost, raw_host
from tests.support import KEY, Sandbox


def on(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    return {
        "EVOLINK_BASE_URL": sandbox.url,
        "EVOLINK_FILES_URL": sandbox.url,
        "EVOLINK_API_KEY": KEY,
        "EVOLINK_OUTPUT_DIR": str(folder),
    }


def visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


async def half_done(folder: Path) -> Path:
    """Waits, bounded, until a partial file is there and some of it is written."""
    with anyio.fail_after(60):
        while True:
            for path in folder.glob(f".*{PARTIAL_SUFFIX}"):
                if path.stat().st_size:
                    return path
            await anyio.sleep(0.01)


async def saved(host: RawHost, task_id: str) -> Path:
    checked = await host.call("check_task", task_id=task_id)
    (result,) = checked["structuredContent"]["results"]
    return Path(result["saved_path"])


async def test_kill_9_during_a_download_leaves_no_half_file_and_the_next_check_completes_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The host of the result sends more than a buffer holds, and then no more."""
    env = on(sandbox, tmp_path)
    async with raw_host(env=env, seconds=60) as host:
        await host.initialize()
        made = await host.call("generate_image", prompt="a red kite", model="gpt-image-2", size="1024x1024")
        task_id = made["structuredContent"]["task_id"]
        await anyio.to_thread.run_sync(sandbox.settle)
        sandbox.fault("result", "stall", seconds=60)
        await host.send(
            '{"jsonrpc":"2.0","id":"look","method":"tools/call","params":'
            f'{{"name":"check_task","arguments":{{"task_id":"{task_id}","wait_seconds":0}}}}}}'
        )
        partial = await half_done(tmp_path)
        host.process.send_signal(signal.SIGKILL)
        await host.process.wait()
    assert host.process.returncode == -signal.SIGKILL
    assert visible(tmp_path) == []
    assert partial.exists()
    async with raw_host(env=env, seconds=60) as host:
        await host.initialize()
        path = await saved(host, task_id)
        assert await saved(host, task_id) == path
    with Image.open(path) as image:
        image.load()
        assert image.size == (1024, 1024)
    note = path.with_name(path.name.replace("-1.png", ".json"))
    assert visible(tmp_path) == sorted([note, path])
    assert "a red kite" in note.read_text(encoding="utf-8")
    assert partial.exists()  # so young that it could be another process's; swept when it is an hour old


async def test_two_programs_that_save_at_once_make_one_file(sandbox: Sandbox, tmp_path: Path) -> None:
    env = on(sandbox, tmp_path)
    async with raw_host(env=env) as maker:
        await maker.initialize()
        made = await maker.call("generate_image", prompt="a red kite")
    async with raw_host(env=env) as one, raw_host(env=env) as other:
        await one.initialize()
        await other.initialize()
        task_id = made["structuredContent"]["task_id"]
        await anyio.to_thread.run_sync(sandbox.settle)
        sandbox.fault("result", "slow", delay=1, times=2)
        paths: list[Path] = []

        async def look(host: RawHost) -> None:
            paths.append(await saved(host, task_id))

        async with anyio.create_task_group() as group:
            group.start_soon(look, one)
            group.start_soon(look, other)
    assert len(sandbox.requests("/results/")) == 2  # both were at it
    assert paths[0] == paths[1]
    assert len(visible(tmp_path)) == 2
    assert list(tmp_path.glob(f".*{PARTIAL_SUFFIX}")) == []


async def test_the_key_is_shown_to_the_gateway_and_to_no_host_of_results(sandbox: Sandbox, tmp_path: Path) -> None:
    """The sandbox answers 400 to a followed link with a key in it, so that nothing would have been saved."""
    async with raw_host(env=on(sandbox, tmp_path)) as host:
        await host.initialize()
        made = await host.call("generate_image", prompt="a red kite", wait_seconds=20)
        path = Path(made["structuredContent"]["results"][0]["saved_path"])
        preview = await host.call("check_task", task_id=made["structuredContent"]["task_id"], preview=True)
        assert any(block["type"] == "image" for block in preview["content"])
    assert path.is_file()
    fetched = sandbox.requests("/results/")
    assert fetched
    assert not any(request["headers"]["authorization"] for request in fetched)
    assert all(request["headers"]["authorization"] for request in sandbox.requests("/v1/"))
    for written in (*tmp_path.rglob("*"),):
        assert not written.is_file() or KEY.encode() not in written.read_bytes()
    assert KEY not in host.stderr
