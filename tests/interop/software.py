"""Software from npm and PyPI, in a cache outside the repository, and what fetching needs."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

VERSIONS = cast(
    "dict[str, dict[str, str]]", tomllib.loads((Path(__file__).parent / "versions.toml").read_text(encoding="utf-8"))
)
UV = Path(sys.executable).parent / "uv"
NODES = {"Linux x86_64": "linux-x64", "Linux aarch64": "linux-arm64", "Darwin arm64": "darwin-arm64"}
# What a package's author wants run after it was fetched; npm leaves it out where scripts are off.
AFTER = {"@anthropic-ai/claude-code": "install.cjs"}
# What a package needs and does not say.
BESIDE = {
    "mcpo": ("mcp<2", "fastapi<0.125"),
    "moto": ("flask>=3,<4", "flask-cors>=6,<7", "pyyaml>=6", "py-partiql-parser==0.6.3"),
}


# Where programs are kept between runs. Read at once, since the tests scrub the environment.
CACHE = Path(os.environ.get("EVOLINK_INTEROP_CACHE") or Path.home() / ".cache" / "evolink-mcp-interop")


class Missing(RuntimeError):
    """What this machine lacks."""


@contextmanager
def fetched_once(folder: Path) -> Generator[bool]:
    """Whether what belongs into ``folder`` is still to be fetched; complete when the block ends without an error."""
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / ".complete"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not done.exists()
        done.touch()


def package(name: str, version: str = "") -> Path:
    """The folder in which an npm package is installed, fetched once.

    Raises:
        Missing: npm or the network; with what npm said.
    """
    version = version or VERSIONS["npm"][name]
    return packages(f"{name.replace('/', '-')}-{version}", f"{name}@{version}")


def packages(label: str, *wanted: str) -> Path:
    """The folder in which npm packages are installed together, fetched once; named by ``label``.

    Raises:
        Missing: npm or the network; with what npm said.
    """
    folder = CACHE / label
    with fetched_once(folder) as lacking:
        if lacking:
            npm = shutil.which("npm")
            if npm is None:
                raise Missing(f"npm is not installed, and {label} comes from there (Debian: apt-get install npm)")
            _run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *wanted], folder)
            for name, script in AFTER.items():
                if (folder / "node_modules" / name).exists():
                    _run(["node", script], folder / "node_modules" / name)
    return folder


def program(name: str, binary: str) -> Path:
    """The program ``binary`` of an npm package.

    Raises:
        Missing: npm or the network.
    """
    return package(name) / "node_modules" / ".bin" / binary


def node() -> Path:
    """Node 22, which some programs need, whatever this machine has.

    Raises:
        Missing: npm, the network, or a Node for this machine.
    """
    machine = f"{platform.system()} {platform.machine()}"
    if machine not in NODES:
        raise Missing(f"there is no Node 22 on npm for {machine}")
    name = f"node-{NODES[machine]}"
    return package(name, VERSIONS["npm"]["node"]) / "node_modules" / name / "bin" / "node"


def network() -> dict[str, str]:
    """What a fetching program must know of this machine: certificates and its own settings."""
    kept = ("SSL_CERT", "UV_", "PIP_", "npm_config_", "NODE_EXTRA_CA")
    return {name: value for name, value in os.environ.items() if name.startswith(kept)}


def environment(folder: Path, *wanted: str) -> Path:
    """The interpreter of an environment, made in ``folder``, with what is wanted of ``uv pip install``.

    Raises:
        Missing: The network; with what uv said.
    """
    found = folder / "venv" / "bin" / "python"
    _run([str(UV), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder / "venv")], folder)
    _run([str(UV), "pip", "install", "--quiet", "--python", str(found), *wanted], folder)
    return found


def pinned(name: str) -> Path:
    """The interpreter of an environment with the pinned version of a Python package.

    Raises:
        Missing: The network; with what uv said.
    """
    version = VERSIONS["pypi"][name]
    return equipped(f"{name}-{version}", f"{name}=={version}", *BESIDE.get(name, ()))


def equipped(label: str, *wanted: str) -> Path:
    """The interpreter of an environment with some Python packages, made once; named by ``label``.

    Raises:
        Missing: The network; with what uv said.
    """
    folder = CACHE / label
    with fetched_once(folder) as lacking:
        if lacking:
            environment(folder, *wanted)
    return folder / "venv" / "bin" / "python"


def old_client(client: str) -> Path:
    """The place of a client of another year, whose name ends in its version: an interpreter, or an npm folder.

    Raises:
        Missing: npm or the network.
    """
    name, version = client.rsplit(" ", 1)
    if name == "mcp":
        return equipped(f"mcp-{version}", f"mcp=={version}", "pydantic<2.12")  # that of its time
    return package("@modelcontextprotocol/sdk", version)


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Missing(f"{' '.join(command)}: {problem}") from None
    if done.returncode:
        raise Missing(f"{' '.join(command)}: {done.stderr[-2000:]}")
