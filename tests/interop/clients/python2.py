"""The whole job by mcp 2.x. Takes a job as JSON, prints what became of it."""

import asyncio
import contextlib
import json
import sys

import httpx2
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

SERVER = "io.modelcontextprotocol/serverInfo"  # a pinned era has no handshake, and results tell
MODES = {"legacy": "legacy", "auto": "auto", "modern": "2026-07-28"}


@contextlib.asynccontextmanager
async def connected(job):
    mode = MODES[job["era"]]
    if job["transport"] == "stdio":
        command, *args = job["command"]
        async with Client(StdioServerParameters(command=command, args=args, env=job["env"]), mode=mode) as client:
            yield client
    elif job["transport"] == "http":
        async with httpx2.AsyncClient(headers=job["headers"], timeout=120, trust_env=False) as http:
            async with Client(streamable_http_client(job["url"] + "/mcp", http_client=http), mode=mode) as client:
                yield client
    else:
        async with Client(sse_client(job["url"] + "/sse", headers=job["headers"]), mode=mode) as client:
            yield client


async def main(job):
    told = []

    async def moved(progress, total, message):
        told.append([progress, total, message])

    async with connected(job) as client:
        tools = (await client.list_tools()).tools
        made = (await client.call_tool("generate_image", {"prompt": "a red kite"})).structured_content
        arguments = {"task_id": made["task_id"], "wait_seconds": 30}
        checked = await client.call_tool("check_task", arguments, progress_callback=moved)
        return {
            "server": (checked.meta or {}).get(SERVER, {}).get("name") or client.server_info.name,
            "protocol": client.protocol_version,
            "tools": [tool.name for tool in tools],
            "schemas": [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools],
            "made": made,
            "progress": told,
            "checked": checked.structured_content,
        }


print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
