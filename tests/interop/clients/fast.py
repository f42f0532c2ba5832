"""The whole job by fastmcp's client, in an environment of its own. Takes a job as JSON, prints what became of it."""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport

SERVER = "io.modelcontextprotocol/serverInfo"  # a pinned era has no handshake, and results tell
MODES = {"legacy": "legacy", "auto": "auto", "modern": "2026-07-28"}


def transport(job):
    if job["transport"] == "stdio":
        command, *args = job["command"]
        return StdioTransport(command, args, env=job["env"], keep_alive=False)
    if job["transport"] == "http":
        return StreamableHttpTransport(job["url"] + "/mcp", headers=job["headers"])
    return SSETransport(job["url"] + "/sse", headers=job["headers"])


async def main(job):
    told = []

    async def moved(progress, total, message):
        told.append([progress, total, message])

    async with Client(transport(job), mode=MODES[job["era"]]) as client:
        tools = await client.list_tools()
        made = (await client.call_tool("generate_image", {"prompt": "a red kite"})).structured_content
        arguments = {"task_id": made["task_id"], "wait_seconds": 30}
        checked = await client.call_tool("check_task", arguments, progress_handler=moved)
        return {
            "server": (checked.meta or {}).get(SERVER, {}).get("name") or client.server_info.name,
            "protocol": client.protocol_version,
            "tools": [tool.name for tool in tools],
            "made": made,
            "progress": told,
            "checked": checked.structured_content,
        }


print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
