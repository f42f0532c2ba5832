"""How much memory 100 MB cost on their way up and down: ``python -m benchmarks.files [MEGABYTES]``.

Each run is a fresh process that talks to a host in another one, over a real
socket: the server's own tools, and next to them httpx2 alone doing the same.
What counts is how far the peak of the process rises above where it stood after
a warm-up with a small file. Ends with 1 where one of ours rises by 16 MB or more.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIMIT_MB = 16.0
MB = 1_000_000
SHAPE = struct.pack(">4sII5B", b"IHDR", 1024, 1024, 8, 2, 0, 0, 0)
HEAD = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(SHAPE) - 4) + SHAPE + struct.pack(">I", zlib.crc32(SHAPE))
CHUNK = b"\0" * 65536
CHILD = [sys.executable, "-m", "benchmarks.files"]
RUNS = ("upload_file", "upload by httpx2", "check_task, saving", "download by httpx2")


async def host() -> None:
    """Swallows uploads and gives out results of any size, without keeping either; its port goes to stdout."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                path = head.split()[1]
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                left = int(headers.get("content-length", 0))
                while left > 0:
                    left -= len(await reader.read(min(left, len(CHUNK))))
                if path.startswith("/results/"):
                    await give(writer, int(path.split("/")[2]))
                else:
                    body = json.dumps(answer_to(path, headers["host"])).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
                    writer.write(f"content-length: {len(body)}\r\n\r\n".encode() + body)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def head_of(size: int) -> bytes:
    """The beginning of a PNG of ``size`` bytes, whose pixels are one part: readers of facts pass over that."""
    return HEAD + struct.pack(">I4s", size - len(HEAD) - 12, b"IDAT")


async def give(writer: asyncio.StreamWriter, size: int) -> None:
    """Sends ``size`` bytes that begin as a PNG does."""
    head = head_of(size)
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode() + head)
    left = size - len(head)
    while left > 0:
        writer.write(CHUNK[:left])
        await writer.drain()
        left -= len(CHUNK)


def answer_to(path: str, authority: str) -> dict[str, Any]:
    """What the gateway would say: an upload is stored; a task has ended, its id says how large its result is."""
    if "/upload/" in path:
        link = f"http://{authority}/files/a"
        return {"success": True, "code": 200, "msg": "ok", "data": {"file_id": "file_1", "file_url": link}}
    size = path.rsplit("-", 1)[-1]
    results = [f"http://{authority}/results/{size}/a.png"]
    return {"id": path.rsplit("/", 1)[-1], "status": "completed", "progress": 100, "created": 1, "results": results}


def resident_kb(field: str) -> int:
    """The resident size of this process: now (``VmRSS``) or at its highest so far (``VmHWM``, all that macOS tells)."""
    try:
        return int(Path("/proc/self/status").read_text(encoding="ascii").split(f"{field}:")[1].split()[0])
    except (OSError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak


async def measured(run: Callable[[int], Awaitable[None]], size: int) -> None:
    """Runs once small, once in full; writes how far the peak rose (kB) and how long the full run took (s)."""
    await run(MB)
    before, started = resident_kb("VmRSS"), time.perf_counter()
    await run(size)
    took = time.perf_counter() - started
    sys.stdout.write(json.dumps({"kb": resident_kb("VmHWM") - before, "seconds": took}) + "\n")


def a_file(folder: Path, size: int) -> Path:
    """A file of ``size`` bytes that begins as a PNG does; it takes no room on most disks."""
    path = folder / f"{size}.png"
    with path.open("wb") as file:
        file.write(head_of(size))
        file.truncate(size)
    return path


async def by_tools(url: str, folder: Path, size: int, *, up: bool) -> None:
    """The server's own way: a client, the tools, the guards."""
    from mcp.client import Client

    from evolink_mcp.server import create_server
    from evolink_mcp.settings import Settings
    from evolink_mcp.tools.app import App

    settings = Settings(
        api_key="sk-benchmark-000000", base_url=url, files_url=url, upload_dirs=(folder,), output_dir=folder / "out"
    )
    app = App(settings)

    async def run(size: int) -> None:
        if up:
            arguments: dict[str, Any] = {"file_path": str(a_file(folder, size))}
        else:
            arguments = {"task_id": f"task-{size}", "wait_seconds": 45}
        result = await client.call_tool("upload_file" if up else "check_task", arguments)
        assert not result.is_error, result.content
        if not up:
            saved = Path(result.structured_content["results"][0]["saved_path"])
            assert saved.stat().st_size == size

    async with Client(create_server(app)) as client:
        await measured(run, size)
    await app.aclose()


async def by_httpx2(url: str, folder: Path, size: int, *, up: bool) -> None:
    """The same without us."""
    import httpx2

    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:

        async def run(size: int) -> None:
            if up:
                with a_file(folder, size).open("rb") as file:
                    (await client.post("/api/v1/files/upload/stream", files={"file": file})).raise_for_status()
                return
            with (folder / "out").open("wb") as file:
                async with client.stream("GET", f"/results/{size}/a.png") as response:
                    async for chunk in response.aiter_raw():
                        file.write(chunk)
            assert (folder / "out").stat().st_size == size

        await measured(run, size)


def one(name: str, url: str, size: int) -> None:
    """One run, in this process."""
    with tempfile.TemporaryDirectory(prefix="evolink-benchmark-") as folder:
        way = by_httpx2 if "httpx2" in name else by_tools
        asyncio.run(way(url, Path(folder), size, up="upload" in name))


@contextmanager
def hosted() -> Generator[str]:
    """The host, in a process of its own; its URL."""
    with subprocess.Popen([*CHILD, "--host"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def run(name: str, url: str, size: int) -> tuple[float, float]:
    """One run in a fresh process: by how many MB its peak rose, and seconds.

    Raises:
        RuntimeError: It failed; with what it said.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("EVOLINK_")}
    done = subprocess.run([*CHILD, "--run", name, url, str(size)], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    figures = json.loads(done.stdout.splitlines()[-1])
    return figures["kb"] * 1024 / MB, figures["seconds"]


def main() -> int:
    """All runs, each in a process of its own, and their table."""
    size = int(float(sys.argv[1]) * MB) if len(sys.argv) > 1 else 100 * MB
    worst = 0.0
    sys.stdout.write(f"| {size / MB:.0f} MB over loopback | peak memory | MB/s |\n|---|---|---|\n")
    with hosted() as url:
        for name in RUNS:
            rise, seconds = run(name, url, size)
            sys.stdout.write(f"| {name} | +{rise:.1f} MB | {size / MB / seconds:.0f} |\n")
            if "httpx2" not in name:
                worst = max(worst, rise)
    return int(worst >= LIMIT_MB)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--host"]:
            asyncio.run(host())
        case ["--run", name, url, size]:
            one(name, url, int(size))
        case _:
            sys.exit(main())
