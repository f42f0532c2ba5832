"""What the SDK allows over HTTP: its own application, both transports, around the two bare tools.

``python -m benchmarks.floor_http GATEWAY`` says on stdout where it answers.
"""

from __future__ import annotations

import socket
import sys

import anyio
import uvicorn
from starlette.applications import Starlette

from benchmarks.floor_calls import asking


async def serve(gateway: str) -> None:
    """Serves until it is ended."""
    server, http = asking(gateway)
    application = server.streamable_http_app(stateless_http=True, json_response=False)
    assert isinstance(application, Starlette)
    application.router.routes.extend(server.sse_app().routes)
    # With the protocol named, asyncio turns Nagle's algorithm off, as it does for a socket of its own: 44 ms a call.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    sys.stdout.write(f"floor answers at http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
    sys.stdout.flush()
    config = uvicorn.Config(application, log_level="warning", access_log=False)
    async with http:
        await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    anyio.run(serve, sys.argv[1])
