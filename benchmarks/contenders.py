"""Who is measured: ours, what the SDK allows at best, and servers of others, each in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
KEY = "sk-benchmark-000000"
NOWHERE = "http://127.0.0.1:9"  # where nobody answers: no contender may reach further


@dataclass(frozen=True)
class Contender:
    """One server over stdio. ``call``: a tool that answers by itself, without a gateway, and its arguments."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict[str, str])
    call: tuple[str, dict[str, Any]] | None = None
    folder: Path | None = None
    missing: str = ""  # why it cannot be measured here


def cache() -> Path:
    """Where the peers' environments are kept between runs."""
    return Path(os.environ.get("EVOLINK_BENCH_CACHE") or Path.home() / ".cache" / "evolink-mcp-bench")


OURS = Contender(
    "evolink-mcp",
    [sys.executable, "-m", "evolink_mcp"],
    {
        "PYTHONPATH": str(REPOSITORY),
        "EVOLINK_API_KEY": KEY,
        "EVOLINK_BASE_URL": NOWHERE,
        "EVOLINK_FILES_URL": NOWHERE,
        "EVOLINK_TEXT_URL": NOWHERE,
    },
    ("list_models", {"query": "veo"}),
)
AGAIN = replace(OURS, name="evolink-mcp, second start")
FLOOR = Contender(
    "SDK floor: MCPServer, 7 empty tools",
    [sys.executable, "-m", "benchmarks.floor"],
    {"PYTHONPATH": str(REPOSITORY)},
    ("tool_1", {"text": "veo"}),
)
BARE = Contender(
    "bare Python loop",
    [sys.executable, "-I", "-S", str(Path(__file__).parent / "bare.py")],
    call=("tool_1", {"text": "veo"}),
)

NPM = ("@evolinkai/evolink-media", "1.2.1")
PYPI: tuple[tuple[str, str, dict[str, str], tuple[str, dict[str, Any]]], ...] = (
    # Each with its settings, and a call that it answers or refuses before it asks its own gateway.
    (
        "minimax-mcp",
        "0.0.19",
        {"MINIMAX_API_KEY": KEY, "MINIMAX_API_HOST": NOWHERE},
        ("query_video_generation", {}),
    ),
    ("elevenlabs-mcp", "0.12.2", {"ELEVENLABS_API_KEY": KEY}, ("text_to_speech", {})),
)


def peers() -> list[Contender]:
    """The servers of others, installed by name if they are not yet; what cannot be installed says why."""
    return [*_from_npm(), *(_from_pypi(*row) for row in PYPI)]


def contenders() -> list[Contender]:
    """All of them, in the order of the tables."""
    return [OURS, AGAIN, FLOOR, BARE, *peers()]


def _from_npm() -> list[Contender]:
    package, version = NPM
    folder = cache() / f"evolink-media-{version}"
    program = folder / "node_modules" / ".bin" / "evolink-media"
    why = ""
    if not program.exists():
        npm = shutil.which("npm")
        why = "npm is not installed"
        if npm is not None:
            folder.mkdir(parents=True, exist_ok=True)
            why = _run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"{package}@{version}"])
    env, call = {"EVOLINK_API_KEY": KEY}, ("list_models", {"query": "veo"})
    name = f"{package} {version}"
    by_node = Contender(f"{name} (node)", ["node", str(program)], env, call, missing=why)
    # Offline: what npx would otherwise ask the network for would measure the network.
    npx = ["npx", "--offline", "--no", "--", "evolink-media"]
    return [by_node, Contender(f"{name} (npx)", npx, env, call, folder=folder, missing=why)]


def _from_pypi(package: str, version: str, env: dict[str, str], call: tuple[str, dict[str, Any]]) -> Contender:
    folder = cache() / f"{package}-{version}"
    python = folder / "bin" / "python"
    why = ""
    if not (folder / "bin" / package).exists():
        why = _run([sys.executable, "-m", "venv", str(folder)]) or _run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{package}=={version}"]
        )
    return Contender(f"{package} {version}", [str(folder / "bin" / package)], env, call, missing=why)


def _run(command: list[str]) -> str:
    """What went wrong, or "". In a folder that is not ours, so that nothing of this project is picked up."""
    cache().mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(command, cwd=cache(), capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"not installed: {error}"[:160]
    lines = done.stderr.strip().splitlines() or ["no reason given"]
    return f"not installed: {lines[-1]}"[:160] if done.returncode else ""
