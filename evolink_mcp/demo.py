"""Shows the whole job with the sandbox, the real stdio server, a real client and real files."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import CallToolResult, ImageContent, TextContent
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from evolink_mcp.sandbox.serve import running_sandbox
from evolink_mcp.terminal import Terminal

PICTURE = "A lighthouse on a cliff at dawn, warm light in the windows, watercolour"
MOTION = "The beam of the lighthouse sweeps over the sea while the sun rises"
MAX_SECONDS = 240.0  # a busy machine takes its time; what hangs ends


class StepFailed(Exception):
    """A tool refused or failed; the text is the tool's own."""


class Screen(Terminal):
    """Where nobody reads any longer, the job goes on and is not shown."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_demo(out: Path, picture: Path | None = None) -> int:
    """Runs the job and leaves its files in ``out``; returns the exit code.

    ``picture``: where to draw what the terminal showed, as an SVG.
    """
    console = Screen(record=True, width=112) if picture else Screen()
    try:
        anyio.run(_demo, console, out.expanduser().absolute())
    except StepFailed as failed:
        console.print(f"[red]The demo stopped:[/red] {escape(str(failed))}")
        return 1
    except asyncio.CancelledError:
        return 143
    except TimeoutError:
        console.print(f"[red]The demo stopped:[/red] it took longer than {MAX_SECONDS:.0f} s.")
        return 1
    if picture is not None:
        drawn = console.export_svg(title="evolink-mcp demo")
        # A picture in a page should not fetch fonts from elsewhere.
        picture.write_text(re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL), encoding="utf-8")
    return 0


async def _demo(console: Console, out: Path) -> None:
    """Runs the job in ``out``.

    Raises:
        StepFailed: A step did not work.
        TimeoutError: All of it took too long.
    """
    _end_in_order()
    out.mkdir(parents=True, exist_ok=True)
    console.print("[bold]EvoLink MCP demo[/bold]: an agent's whole job, on this machine. No key, no costs.\n")
    saved: list[Path] = []
    failed: StepFailed | None = None
    with anyio.fail_after(MAX_SECONDS):
        async with running_sandbox() as sandbox:
            _say(console, "A sandbox EvoLink is running", sandbox.url)
            environment = {
                "EVOLINK_BASE_URL": sandbox.url,
                "EVOLINK_FILES_URL": sandbox.url,
                "EVOLINK_API_KEY": "sk-demo",
                "EVOLINK_OUTPUT_DIR": str(out),
                "EVOLINK_UPLOAD_DIRS": str(out),
                "EVOLINK_HISTORY": "off",
                "EVOLINK_LOG_LEVEL": "WARNING",
            }
            command = StdioServerParameters(
                command=sys.executable, args=["-m", "evolink_mcp", "stdio"], env=environment, cwd=out
            )
            async with Client(command) as client:
                try:
                    saved = await _job(console, client, out)
                except StepFailed as error:  # raised again outside, where no task group wraps it
                    failed = error
    if failed:
        raise failed
    _summary(console, out, saved)


def _end_in_order() -> None:
    """Makes a signal to end, or a closed terminal, take down the server and the sandbox as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError, AttributeError):  # Windows
        for each in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(each, task.cancel)


async def _job(console: Console, client: Client, out: Path) -> list[Path]:
    """What an agent would do, step by step. Returns the files it left."""
    tools = (await client.list_tools()).tools
    _say(console, "evolink-mcp is serving over stdio", f"{len(tools)} tools: {', '.join(tool.name for tool in tools)}")

    models = await _call(client, "list_models")
    kinds = [model["kind"] for model in models["models"]]
    chosen = ", ".join(model["id"] for model in models["models"] if model.get("default"))
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    _say(console, "list_models", f"{models['total']} models, of which it shows {counted}\ndefaults: {chosen}")

    submitted = await _call(client, "generate_image", prompt=PICTURE, size="3:2")
    _say(console, "generate_image", f"“{PICTURE}”\n{submitted['task_id']}")
    image = await _finished(console, client, submitted["task_id"])
    picture = Path(image["results"][0]["saved_path"])

    stored = await _call(client, "upload_file", file_path=str(picture))
    _say(console, "upload_file", f"{stored['file_id']}, {stored['file_size']:,} bytes, until {stored['expires_at']}")

    submitted = await _call(
        client,
        "generate_video",
        prompt=MOTION,
        image_urls=[stored["file_url"]],
        duration=5,
        quality="720p",
        aspect_ratio="adaptive",
    )
    _say(console, "generate_video", f"“{MOTION}”, from that picture\n{submitted['task_id']}")
    video = await _finished(console, client, submitted["task_id"])

    listed = await _call(client, "list_files")
    _say(console, "list_files", f"{listed['total']} file, {listed['quota']['remain_files']} places left")
    deleted = await _call(client, "delete_file", file_id=stored["file_id"])
    _say(console, "delete_file", deleted["file_id"])
    saved = [Path(result["saved_path"]) for task in (image, video) for result in task["results"]]
    previews = [await _preview(client, task, out) for task in (image, video)]
    _say(console, "check_task with preview", "\n".join(f"look at {path}" for path in previews))
    return [*saved, *previews]


async def _finished(console: Console, client: Client, task_id: str) -> dict[str, Any]:
    """Checks a task until it has ended, with a bar that the server's own progress moves."""
    with _bar(console) as (bar, row):

        async def moved(progress: float, total: float | None, message: str | None) -> None:
            bar.update(row, completed=progress, total=total, description=message or "")

        while True:
            task = await _call(client, "check_task", progress=moved, task_id=task_id, wait_seconds=30)
            if task["status"] == "completed":
                break
            if "polling" not in task:
                raise StepFailed(f"check_task: {task['status']}. {task['next_step']}")
    _say(console, "check_task", "\n".join(map(_saved, task["results"])))
    return task


def _saved(result: dict[str, Any]) -> str:
    """What a result is, and the name under which it lies in the folder."""
    facts = [f"{result['width']} × {result['height']}"] if "width" in result else []
    facts += [f"{result['duration_seconds']:g} s"] if "duration_seconds" in result else []
    facts += ["with sound"] if result.get("has_audio") else []
    return f"saved {Path(result['saved_path']).name}\n{', '.join(facts)}"


async def _preview(client: Client, task: dict[str, Any], out: Path) -> Path:
    """Has the server show a result, as an agent sees it, and keeps that picture."""
    result = await client.call_tool("check_task", {"task_id": task["task_id"], "preview": True})
    picture = next((block for block in result.content if isinstance(block, ImageContent)), None)
    if picture is None:
        raise StepFailed("check_task: there is no preview.")
    path = out / f"preview-{Path(task['results'][0]['saved_path']).stem}.jpg"
    path.write_bytes(base64.b64decode(picture.data))
    return path


async def _call(client: Client, tool: str, *, progress: Any = None, **arguments: Any) -> dict[str, Any]:
    """Calls a tool; returns its structured content.

    Raises:
        StepFailed: The tool said no; with what it said.
    """
    result: CallToolResult = await client.call_tool(tool, arguments, progress_callback=progress)
    if result.is_error:
        said = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
        raise StepFailed(f"{tool}: {said}")
    return cast("dict[str, Any]", result.structured_content)


def _say(console: Console, step: str, facts: str) -> None:
    console.print(f"[green]✓[/green] [bold]{step}[/bold]")
    for line in facts.splitlines():
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)


@contextmanager
def _bar(console: Console) -> Generator[tuple[Progress, Any]]:
    columns = (TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield progress, progress.add_task("waiting", total=100.0)


def _summary(console: Console, folder: Path, files: list[Path]) -> None:
    table = Table(title="What is left on your disk", title_justify="left")
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    for file in files:
        table.add_row(file.name, f"{file.stat().st_size / 1000:,.0f} kB")
    console.print()
    console.print(table)
    console.print(f"All of it lies in {escape(str(folder))}", highlight=False, soft_wrap=True)
    console.print("With a key, the same works against EvoLink itself: see “Install it” in README.md.")
