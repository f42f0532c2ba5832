"""What one finished picture costs an agent: calls, and bytes of arguments and results."""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from mcp.client import Client

from benchmarks.contenders import KEY
from benchmarks.figures import Section
from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.serve import ThreadedSandbox
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox

IMAGE_SECONDS, VIDEO_SECONDS = 20.0, 90.0
PROMPT = "A lighthouse on a cliff at dusk, seen from the sea, in the style of a linocut"

# @evolinkai/evolink-media 1.2.1, on paper: what its own functions make of a task id of 32 characters and links of 80,
# arguments and the envelope of the result included; it tells each link twice. It has no wait: an agent looks every 5 s
# at an image and every 15 s at a video, as those texts recommend, and saves nothing.
PEER = "@evolinkai/evolink-media 1.2.1 (on paper)"
PEER_BYTES = {"submit": 413, "look": 323, "finished": 499, "link": 179}
PEER_EVERY = {"image": 5.0, "video": 15.0}


@dataclass
class Agent:
    """Makes calls, and counts them as a host would carry them: compact JSON."""

    client: Client
    calls: int = 0
    size: int = 0
    last: dict[str, Any] = field(default_factory=dict[str, Any])

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        told = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.calls += 1
        self.size += sum(
            len(json.dumps(each, separators=(",", ":"), ensure_ascii=False).encode()) for each in (arguments, told)
        )
        self.last = result.structured_content or {}
        return self.last

    async def finished(self) -> dict[str, Any]:
        while self.last["status"] != "completed":
            await self.call("check_task", task_id=self.last["task_id"], wait_seconds=45)
        return self.last


async def one_call(agent: Agent) -> None:
    await agent.call("generate_image", prompt=PROMPT, wait_seconds=45)
    await agent.finished()


async def two_calls(agent: Agent) -> None:
    await agent.call("generate_image", prompt=PROMPT)
    await agent.finished()


async def four(agent: Agent) -> None:
    await agent.call("generate_image", prompt=PROMPT, n=4)
    await agent.finished()


async def film(agent: Agent) -> None:
    await agent.call("generate_image", prompt=PROMPT, wait_seconds=45)
    picture = await agent.finished()
    await agent.call("generate_video", prompt="The light turns on", image_urls=[picture["results"][0]["url"]])
    await agent.finished()


FLOWS = {
    "one picture, waited for": (one_call, ("image",)),
    "one picture, submitted and checked": (two_calls, ("image",)),
    "four pictures": (four, ("image",)),
    "picture → video": (film, ("image", "video")),
}


def peer(kinds: tuple[str, ...], pictures: int) -> tuple[int, int]:
    """Calls and bytes of the peer's flow."""
    calls, size = 0, 0
    for kind in kinds:
        seconds = IMAGE_SECONDS if kind == "image" else VIDEO_SECONDS
        looks = int(seconds // PEER_EVERY[kind])
        calls += 1 + looks
        size += PEER_BYTES["submit"] + PEER_BYTES["look"] * (looks - 1) + PEER_BYTES["finished"]
        size += PEER_BYTES["link"] * (pictures - 1)
    return calls, size


async def measure(url: str, folder: Path) -> dict[str, Agent]:
    """Every flow, on the sandbox with a clock that does not wait; results are saved."""
    agents: dict[str, Agent] = {}
    sandbox = Sandbox(url)
    settings = Settings(api_key=KEY, base_url=url, files_url=url, text_url=url, output_dir=folder)
    for name, (flow, _) in FLOWS.items():
        app = App(settings, clock=FakeClock(sandbox))
        async with Client(create_server(app)) as client:
            agents[name] = Agent(client)
            await flow(agents[name])
        saved = [result.get("saved_path") for result in agents[name].last["results"]]
        assert all(saved), f"{name}: not saved"
        await app.aclose()
    sandbox.close()
    return agents


def measured() -> dict[str, Agent]:
    """Every flow, on a sandbox of its own. The server sets up a log for its requests, which nobody reads here."""
    logging.disable(logging.INFO)
    config = SandboxConfig(image_seconds=IMAGE_SECONDS, video_seconds=VIDEO_SECONDS)
    with tempfile.TemporaryDirectory(prefix="evolink-bench-") as folder, ThreadedSandbox(config) as sandbox:
        return anyio.run(measure, sandbox.url, Path(folder))


def checked() -> dict[str, dict[str, float]]:
    """What the budget needs: the bytes of one finished picture, arguments, text and structured content."""
    return {"turns": {"picture_bytes": measured()["one picture, waited for"].size}}


def sections(*, quick: bool = False) -> dict[str, Section]:
    """Counts, not times: one run each."""
    agents = measured()
    rows, figures = list[list[str]](), dict[str, Any]()
    for name, (_, kinds) in FLOWS.items():
        calls, size = peer(kinds, 4 if "four" in name else 1)
        agent = agents[name]
        figures[name] = {"calls": agent.calls, "bytes": agent.size}
        rows.append([name, f"{agent.calls}", f"{agent.size:,}", f"{calls}", f"{size:,}"])
    return {
        "turns": Section(
            f"What it costs an agent (an image takes {IMAGE_SECONDS:.0f} s, a video {VIDEO_SECONDS:.0f} s)",
            ["what", "ours: calls", "bytes", f"{PEER}: calls", "bytes"],
            rows,
            "Bytes are arguments and whole results, text and structured content together, with the file saved; a host "
            "shows its model one of the two, about half. The peer's results are text alone and nothing is saved.",
            figures,
        )
    }
