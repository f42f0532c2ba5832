"""The manifests, read by the programs they are for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evolink_mcp.install import plan
from evolink_mcp.install.clients import BY_ID
from manifests import bundle
from manifests.facts import ROOT
from tests.interop import software
from tests.support import KEY


def run(home: Path, *command: str | Path, cwd: Path | None = None) -> str:
    """What a program says, in a home folder of its own."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # uvx is beside the interpreter
    environment = {
        **software.network(),
        "HOME": str(home),
        "PATH": path,
        "CODEX_HOME": str(home / ".codex"),
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd or home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def claude() -> Path:
    return software.program("@anthropic-ai/claude-code", "claude")


def test_the_bundle_is_valid_for_its_makers(tmp_path: Path) -> None:
    mcpb = software.program("@anthropic-ai/mcpb", "mcpb")
    assert "passes" in run(tmp_path, mcpb, "validate", ROOT / "manifests" / "mcpb" / "manifest.json")
    run(tmp_path, mcpb, "unpack", bundle.pack(tmp_path), tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "evolink_mcp" / "__main__.py").is_file()


@pytest.mark.parametrize("manifest", ["plugin.json", "marketplace.json"])
def test_claude_code_finds_nothing_wrong_with_the_plugin(claude: Path, manifest: str, tmp_path: Path) -> None:
    run(tmp_path, claude, "plugin", "validate", "--strict", ROOT / ".claude-plugin" / manifest)


def test_claude_code_installs_the_plugin_and_connects(claude: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", ".hypothesis", "dist")
    shutil.copytree(ROOT, checkout, ignore=ignored)
    run(tmp_path, claude, "plugin", "marketplace", "add", checkout)
    run(tmp_path, claude, "plugin", "install", "evolink@evolink-mcp")
    told = run(tmp_path, claude, "mcp", "list")
    (line,) = [line for line in told.splitlines() if "evolink" in line]
    assert "Connected" in line


@pytest.mark.parametrize("sandbox", [False, True])
def test_claude_code_connects_to_what_install_wrote(claude: Path, tmp_path: Path, sandbox: bool) -> None:
    file = tmp_path / ".claude.json"
    file.write_text('{"theme": "dark"}', encoding="utf-8")
    plan.write_entry(plan.Request(BY_ID["claude-code"], sandbox=sandbox, file=file))
    assert "Connected" in run(tmp_path, claude, "mcp", "get", "evolink")


def test_codex_reads_what_install_wrote_and_the_manifest(tmp_path: Path) -> None:
    codex = software.program("@openai/codex", "codex")
    file = tmp_path / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text('model = "gpt-5.5" # mine\n', encoding="utf-8")
    plan.write_entry(plan.Request(BY_ID["codex"], {"EVOLINK_API_KEY": KEY}, file=file))
    (entry,) = [each for each in _codex_servers(codex, tmp_path) if each["name"] == "evolink"]
    assert entry["transport"]["env"] == {"EVOLINK_API_KEY": KEY}
    shutil.copy(ROOT / "manifests" / "codex" / "config.toml", file)
    (entry,) = _codex_servers(codex, tmp_path)
    assert (entry["transport"]["command"], entry["transport"]["env_vars"]) == ("uvx", ["EVOLINK_API_KEY"])


def _codex_servers(codex: Path, home: Path) -> list[dict[str, Any]]:
    told = run(home, codex, "mcp", "list", "--json")
    return json.loads(told[told.index("[\n") : told.rindex("]") + 1])
