"""The conformance suite's scenarios of skills over the protocol, against the HTTP application itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import anyio
import pytest

from evolink_mcp.transports.http.options import HttpOptions
from tests.interop import software
from tests.interop.test_conformance import SUITE
from tests.serving import on, serving
from tests.support import KEY, Sandbox

# Each with the checks that it made when it was written: fewer means that it did not do its work.
SCENARIOS = {"sep-2640-skills-enumeration": 32, "sep-2640-skills-manifest": 6}


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_the_suite_reads_our_skill(scenario: str, sandbox: Sandbox, tmp_path: Path) -> None:
    script = software.package("@modelcontextprotocol/conformance") / SUITE
    async with serving(on(sandbox, api_key=KEY), HttpOptions(auth="none", calls_per_minute=0)) as served:
        target = ["--url", f"{served.url}/mcp", "--scenario", scenario, "--force", "-o", str(tmp_path)]
        command = [str(software.node()), str(script), "server", *target, "--spec-version", "2026-07-28"]
        with anyio.fail_after(300):
            ran = await anyio.run_process(command, check=False, stderr=subprocess.STDOUT)
    (report,) = tmp_path.glob("server-*/checks.json")
    checks = json.loads(report.read_text(encoding="utf-8"))
    assert [check for check in checks if check["status"] == "FAILURE"] == [], ran.stdout[-3000:].decode()
    assert len([check for check in checks if check["status"] == "SUCCESS"]) >= SCENARIOS[scenario]
