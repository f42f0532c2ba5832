"""The whole job by mcp 1.6 to 1.9, which know no structured content. Takes a job as JSON, prints what became of it."""

import asyncio
import json
import re
import sys

from mcp import ClientSession
from streams1 import streams


def task(result):
    """The facts of a task, all of them from the text: newer kinds of content would have failed to parse."""
    (block,) = result.content
    task_id, status = re.search(r"task (task-\S+): (\w+)", block.text).groups()
    results = re.findall(r"^Result \d+: (\S+) \(([\w/]+)", block.text, re.MULTILINE)
    return {
        "task_id": task_id,
        "status": status,
        "results": [{"url": url, "mime_type": mime_type} for url, mime_type in results],
    }


async def main(job):
    async with streams(job) as (read, write), ClientSession(read, write) as session:
        hello = await session.initialize()
        tools = (await session.list_tools()).tools
        made = task(await session.call_tool("generate_image", {"prompt": "a red kite"}))
        checked = task(await session.call_tool("check_task", {"task_id": made["task_id"], "wait_seconds": 30}))
        refusal = await session.call_tool("check_task", {"task_id": "task-unified-0-none", "wait_seconds": 0})
        assert refusal.isError, refusal
    return {
        "server": hello.serverInfo.name,
        "protocol": hello.protocolVersion,
        "tools": [tool.name for tool in tools],
        "made": made,
        "progress": [],
        "checked": checked,
    }


print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
