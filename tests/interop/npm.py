"""Programs from npm, in a cache outside the repository, and what fetching needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def cache() -> Path:
    """Where programs are kept between runs."""
    root = os.environ.get("EVOLINK_INTEROP_CACHE") or Path.home() / ".cache" / "evolink-mcp-interop"
    return Path(root)


def program(package: str, version: str, name: str, *, after: str = "") -> Path:
    """The program ``name`` of an npm package, fetched once.

    Args:
        after: The package's own script to run after it was fetched, where it needs one.

    Raises:
        RuntimeError: npm or the network is missing; with what npm said.
    """
    folder = cache() / f"{package.replace('/', '-')}-{version}"
    found = folder / "node_modules" / ".bin" / name
    if not found.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("npm is not installed, and this test needs it")
        folder.mkdir(parents=True, exist_ok=True)
        _run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"{package}@{version}"], folder)
        if after:
            _run(["node", after], folder / "node_modules" / package)
    return found


def network() -> dict[str, str]:
    """What a fetching program must know of this machine: certificates and its own settings."""
    kept = ("SSL_CERT", "UV_", "PIP_", "npm_config_", "NODE_EXTRA_CA")
    return {name: value for name, value in os.environ.items() if name.startswith(kept)}


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
