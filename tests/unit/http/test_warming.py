"""An HTTP server is warm before it listens: no call holds up others while it loads something."""

from __future__ import annotations

import subprocess
import sys

CALLS = """
import sys
import anyio
from benchmarks.till import open_till
from evolink_mcp.settings import Settings
from evolink_mcp.server import create_server
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.warming import warm_up
from mcp.client import Client

async def main():
    async with open_till() as till:
        toolsets = ("media", "text")
        settings = Settings(api_key="sk-test-0123456789", base_url=till.url, text_url=till.url, toolsets=toolsets)
        app = HttpApplication(settings, HttpOptions()).app
        warm_up(app)
        async with Client(create_server(app)) as client:
            before = set(sys.modules)
            for name, arguments in (
                ("list_models", {"query": "a talking portrait"}),
                ("generate_image", {"prompt": "a kite", "wait_seconds": 0}),
                ("check_task", {"task_id": "task-0"}),
                ("generate_text", {"prompt": "a kite"}),
            ):
                await client.call_tool(name, arguments)
            print(*sorted(set(sys.modules) - before))
        await app.aclose()

anyio.run(main)
"""


def test_the_first_calls_load_nothing_any_more() -> None:
    ran = subprocess.run([sys.executable, "-c", CALLS], check=True, capture_output=True, text=True, timeout=60)
    ours = ("evolink_mcp", "httpcore2", "truststore", "sqlite3")  # beside what the client of this test loads
    assert not [name for name in ran.stdout.split() if name.startswith(ours)]
