"""The whole job by mcp 1.x, in an environment of its own. Takes a job as JSON, prints what became of it."""

import asyncio
import json
import sys
from datetime import timedelta

from mcp import ClientSession
from streams1 import streams


async def main(job):
    told = []

    async def moved(progress, total, message):
        told.append([progress, total, message])

    limit = timedelta(seconds=120)
    async with streams(job) as (read, write), ClientSession(read, write) as session:
        hello = await session.initialize()
        tools = (await session.list_tools()).tools
        made = (await session.call_tool("generate_image", {"prompt": "a red kite"}, limit)).structuredContent
        arguments = {"task_id": made["task_id"], "wait_seconds": 30}
        checked = await session.call_tool("check_task", arguments, limit, progress_callback=moved)
    return {
        "server": hello.serverInfo.name,
        "protocol": hello.protocolVersion,
        "tools": [tool.name for tool in tools],
        "made": made,
        "progress": told,
        "checked": checked.structuredContent,
    }


print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
