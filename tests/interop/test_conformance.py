"""The protocol's own conformance suite, against the real HTTP application with the suite's fixtures beside ours."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from evolink_mcp.transports.http.options import HttpOptions
from tests.interop import software
from tests.interop.conformance_app import conformance_application
from tests.serving import on, serving
from tests.support import KEY, Sandbox

EXPECTED = cast(
    "dict[str, dict[str, str]]",
    tomllib.loads((Path(__file__).parent / "conformance.toml").read_text(encoding="utf-8")),
)
SUITE = Path("node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
# Those that ran when the list was made, the unscored included. Fewer means that the suite did not do its work.
SCENARIOS = {"2025-11-25": 33, "2026-07-28": 50}
Failures = Mapping[str, set[str]]  # of each scenario that ran, the checks that failed


def compare(failures: Failures, expected: Mapping[str, str]) -> list[str]:
    """What is new and what is stale, one line each."""
    found = {f"{scenario}:{check}" for scenario, checks in failures.items() for check in checks}
    new = [each for each in sorted(found) if each not in expected and each.split(":")[0] not in expected]
    known = found | {each.split(":")[0] for each in found}
    return [f"new: {each}" for each in new] + [f"stale: {each}" for each in expected if each not in known]


async def run(revision: str, url: str, folder: Path) -> Failures:
    """Runs what a revision requires, and what it reports beside that."""
    script = software.package("@modelcontextprotocol/conformance") / SUITE
    command = [software.node(), script, "server", "--url", url, "--requirements", revision, "-o", folder]
    with anyio.fail_after(180):
        done = await anyio.run_process([str(part) for part in command], check=False, stderr=subprocess.STDOUT)
    assert b"=== SUMMARY ===" in done.stdout, done.stdout[-3000:].decode()
    failures: dict[str, set[str]] = {}
    for path in folder.glob("server-*/checks.json"):
        named = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z", path.parent.name)
        assert named, path
        checks = cast("list[dict[str, Any]]", json.loads(path.read_text(encoding="utf-8")))
        failures[named[1]] = {check["id"] for check in checks if check["status"] == "FAILURE"}
    return failures


@pytest.mark.parametrize("revision", EXPECTED)
async def test_the_suite_finds_what_is_expected_and_nothing_else(
    revision: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    options = HttpOptions(auth="none", calls_per_minute=0)  # as the suite comes: without a key, in a hurry
    async with serving(on(sandbox, api_key=KEY), options, make=conformance_application) as served:
        failures = await run(revision, f"{served.url}/mcp", tmp_path)
    assert len(failures) >= SCENARIOS[revision]
    assert not compare(failures, EXPECTED[revision])
    assert sandbox.paid() == 0


def test_every_expected_failure_has_a_reason() -> None:
    assert set(EXPECTED) == set(SCENARIOS)
    assert all(len(reason) > 20 for expected in EXPECTED.values() for reason in expected.values())


def test_new_failures_and_stale_entries_are_both_told() -> None:
    failures: Failures = {"ping": {"answer"}, "tools-list": set(), "prompts-list": {"name", "shape"}}
    assert compare(failures, {"ping": "reason", "prompts-list:name": "reason"}) == ["new: prompts-list:shape"]
    assert compare(failures, {"ping": "reason", "prompts-list": "reason", "tools-list": "reason"}) == [
        "stale: tools-list"
    ]
