"""What the SDK allows where a tool asks the gateway: two tools that an author would write first.

Arguments and results typed, one request with httpx2, and nothing else: no limits, no money, no guards, no deadline, no
next step.
"""

from __future__ import annotations

from typing import Any

import httpx2
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel

from benchmarks.contenders import KEY


class Task(BaseModel):
    """What the two return: the fields of a task that ours tells as well."""

    task_id: str
    kind: str
    model: str
    status: str
    progress: int
    credits_reserved: float | None = None
    estimated_seconds: int | None = None


def asking(url: str) -> tuple[MCPServer, httpx2.AsyncClient]:
    """A server of two tools that ask the gateway at ``url``, and its pool, to be closed by whoever has it."""
    http = httpx2.AsyncClient(
        base_url=url,
        headers={"authorization": f"Bearer {KEY}"},
        trust_env=False,
        timeout=60,
        limits=httpx2.Limits(max_connections=100, max_keepalive_connections=100),
    )
    server = MCPServer("floor", version="1")

    @server.tool()
    async def generate_image(  # pyright: ignore[reportUnusedFunction]
        prompt: str, model: str = "benchmark-model", size: str | None = None, n: int | None = None
    ) -> Task:
        """Makes images."""
        return _read((await http.post("/v1/images/generations", json={"model": model, "prompt": prompt})).json())

    @server.tool()
    async def check_task(task_id: str, wait_seconds: int = 0) -> Task:  # pyright: ignore[reportUnusedFunction]
        """Looks at a task."""
        return _read((await http.get(f"/v1/tasks/{task_id}")).json())

    return server, http


def _read(answer: dict[str, Any]) -> Task:
    return Task(
        task_id=answer["id"],
        kind=answer["type"],
        model=answer["model"],
        status=answer["status"],
        progress=answer["progress"],
        credits_reserved=answer["usage"]["credits_reserved"],
        estimated_seconds=answer["task_info"]["estimated_time"],
    )
