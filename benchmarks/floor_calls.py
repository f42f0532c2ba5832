"""What the SDK allows where a tool asks the gateway: two tools as an author would write them first.

They take the same arguments and return the same typed view as ours, so that schemas and results weigh the same; the
body is one bare httpx2 request. No limits, no money, no guards, no deadline, no memory.
"""

from __future__ import annotations

from typing import Annotated, Any

import httpx2
from mcp.server.mcpserver import MCPServer
from pydantic import Field

from benchmarks.contenders import KEY
from evolink_mcp.tools.media import Images, Model, Options, Wait
from evolink_mcp.tools.views import PollingView, TaskView


def asking(url: str) -> tuple[MCPServer, httpx2.AsyncClient]:
    """A server of two tools that ask the gateway at ``url``, and its pool, to be closed by whoever has it."""
    http = httpx2.AsyncClient(
        base_url=url,
        headers={"authorization": f"Bearer {KEY}"},
        trust_env=False,
        timeout=60,
        limits=httpx2.Limits(max_connections=100, max_keepalive_connections=100),
    )
    server = MCPServer("floor", version="1", log_level="WARNING")

    @server.tool()
    async def generate_image(  # pyright: ignore[reportUnusedFunction]
        prompt: Annotated[str, Field(description="What to show, or how to change the references.")],
        model: Model = None,
        size: Annotated[str | None, Field(description="Ratio or pixels, as the model allows.")] = None,
        resolution: Annotated[str | None, Field(description="Tier of models that have one.")] = None,
        quality: Annotated[str | None, Field(description="Effort or tier, as the model names it.")] = None,
        n: Annotated[int | None, Field(ge=1, description="Images to make; each is billed.")] = None,
        image_urls: Images = None,
        mask_url: Annotated[str | None, Field(description="PNG mask to inpaint.")] = None,
        options: Options = None,
        wait_seconds: Wait = 0,
    ) -> TaskView:
        """Makes images."""
        body = {"model": model or "benchmark-model", "prompt": prompt}
        return _read((await http.post("/v1/images/generations", json=body)).json())

    @server.tool()
    async def check_task(  # pyright: ignore[reportUnusedFunction]
        task_id: Annotated[str, Field(description="As generate_image returned it.")],
        wait_seconds: Wait = 0,
        preview: Annotated[bool, Field(description="Also show small pictures of the results.")] = False,
    ) -> TaskView:
        """Looks at a task."""
        return _read((await http.get(f"/v1/tasks/{task_id}")).json())

    return server, http


def _read(answer: dict[str, Any]) -> TaskView:
    return TaskView(
        task_id=answer["id"],
        kind=answer["type"],
        model=answer["model"],
        status=answer["status"],
        progress=answer["progress"],
        credits_reserved=answer["usage"]["credits_reserved"],
        estimated_seconds=answer["task_info"]["estimated_time"],
        polling=PollingView(first_after_seconds=3, interval_seconds=5, give_up_after_seconds=300),
        next_step="Call check_task with this task_id.",
    )
