"""How the scripts of mcp 1.x reach the server, by any transport that their version has."""

import contextlib

from mcp import StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client


@contextlib.asynccontextmanager
async def streams(job):
    if job["transport"] == "stdio":
        command, *args = job["command"]
        async with stdio_client(StdioServerParameters(command=command, args=args, env=job["env"])) as pair:
            yield pair
    elif job["transport"] == "http":
        from mcp.client.streamable_http import streamablehttp_client  # since 1.8

        async with streamablehttp_client(job["url"] + "/mcp", headers=job["headers"]) as (read, write, _):
            yield read, write
    else:
        async with sse_client(job["url"] + "/sse", headers=job["headers"]) as pair:
            yield pair
