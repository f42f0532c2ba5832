"""The card in the web client of the MCP Inspector, a host that nobody here wrote."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.interop import software
from tests.interop.card.browser import HERE, chromium, folder
from tests.interop.card.chat import EVOLINK, KITE
from tests.interop.conftest import http_server, server_environment
from tests.interop.test_inspector import INSPECTOR
from tests.programs import end, free_port
from tests.support import KEY, Sandbox

pytestmark = pytest.mark.xdist_group("card")  # one browser at a time

SECONDS = 180
QUIET = {"MCP_AUTO_OPEN_ENABLED": "false", "DANGEROUSLY_OMIT_AUTH": "true", "MCP_INSPECTOR_SECRET_STORE": "memory"}


def test_the_inspector_shows_the_card(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its policy has no ``data:`` beside declared domains: the picture comes from its link."""
    sandbox.configure(image_seconds=2)
    with http_server(server_environment(sandbox, key=False), "--calls-per-minute", "0") as served:
        seen = used(served, sandbox, tmp_path)
    assert KITE["prompt"] in seen["waiting"]
    assert "Held:" in seen["waiting"]
    assert "Charged: 2.5 credits." in seen["ready"]
    assert seen["picture"]["src"].startswith(f"{EVOLINK}/results/")
    assert seen["picture"]["alt"] == KITE["prompt"]
    assert ".png" in seen["asked"][0]
    assert "The host did not do it." in seen["refused"]
    assert seen["errors"] == []
    assert sandbox.paid() == 1


def used(served: str, sandbox: Sandbox, home: Path) -> dict[str, Any]:
    """What was seen while somebody used the Inspector on a server."""
    launcher = software.package("@modelcontextprotocol/inspector") / INSPECTOR
    script = folder() / "inspector.mjs"
    script.write_bytes((HERE / script.name).read_bytes())
    port = free_port()
    target = ["--transport", "http", "--server-url", f"{served}/mcp", "--header", f"Authorization: Bearer {KEY}"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    with subprocess.Popen(
        [str(software.node()), str(launcher), "--web", *target, "--protocol-era", "auto"],
        env=env | QUIET | {"CLIENT_PORT": str(port), "MCP_SANDBOX_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as inspector:
        try:
            assert inspector.stdout is not None
            next(line for line in inspector.stdout if b"up and running" in line)
            given = {"chromium": chromium(), "url": f"http://localhost:{port}", "sandbox": sandbox.url}
            given |= {"domain": EVOLINK, **KITE}
            ran = subprocess.run(
                [str(software.node()), str(script), json.dumps(given)],
                env=env,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        finally:
            end(inspector)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)
