"""Fetches what these tests need, all at once, or says what is lacking: ``python -m tests.interop.fetch``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.interop import grid, software
from tests.interop.card import browser
from tests.interop.frameworks.environments import FRAMEWORKS
from tests.interop.software import VERSIONS, Missing, old_client


def fetch() -> list[str]:
    """Fetches everything; what is lacking, one line for each."""
    wanted: dict[str, Callable[[], Path]] = {"node 22": software.node}
    for name in VERSIONS["npm"]:
        if name != "node":
            wanted[name] = lambda name=name: software.package(name)
    for name in VERSIONS["pypi"]:
        wanted[name] = lambda name=name: software.pinned(name)

    wanted |= {"a host of cards": browser.folder, "a browser": lambda: Path(browser.chromium())}
    for client in grid.OLD:
        wanted[client] = lambda client=client: old_client(client)
    for framework in FRAMEWORKS:
        if not framework.heavy:
            wanted[framework.name] = framework.prepare

    def get(name: str) -> str:
        try:
            wanted[name]()
        except Missing as lacking:
            return f"{name}: {lacking}"
        return ""

    with ThreadPoolExecutor(4) as pool:
        return [line for line in pool.map(get, wanted) if line]


if __name__ == "__main__":
    lacking = fetch()
    for line in lacking:
        sys.stderr.write(f"Missing: {line}\n")
    if lacking:
        sys.exit("The interop tests cannot run: they use software from npm and PyPI, fetched by name.")
