"""The frameworks that are run, each in an environment of its own, and their snippets in docs/frameworks.md."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from manifests.facts import ROOT
from tests.interop import software

PAGE = ROOT / "docs" / "frameworks.md"


@dataclass(frozen=True)
class Framework:
    """A framework by the heading of its section, what its environment installs, and whether that is much."""

    name: str
    python: tuple[str, ...] = ()
    node: tuple[str, ...] = ()
    heavy: bool = False

    @property
    def label(self) -> str:
        """The folder of its environment: another one when another version is wanted."""
        wanted = hashlib.sha256(" ".join((*self.python, *self.node)).encode()).hexdigest()[:8]
        return f"framework-{re.sub(r'[^a-z]+', '-', self.name.lower())}-{wanted}"

    def snippet(self) -> str:
        """The code of its section, as a reader would paste it."""
        sections = PAGE.read_text(encoding="utf-8").split("\n### ")
        (section,) = [each for each in sections if each.startswith(f"{self.name}\n")]
        (code,) = re.findall(r"^```(?:python|js)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        return code

    def prepare(self) -> Path:
        """Makes the environment once; the program that runs snippets in it.

        Raises:
            Missing: npm or the network.
        """
        if self.python:
            return software.equipped(self.label, *self.python)
        software.packages(self.label, *self.node)
        return software.node()

    def write(self, folder: Path) -> Path:
        """The snippet as a file: in ``folder``, or beside the ``node_modules`` that it imports from."""
        path = folder / "agent.py" if self.python else software.CACHE / self.label / "agent.mjs"
        path.write_text(self.snippet(), encoding="utf-8")
        return path


def _read() -> list[Framework]:
    table = tomllib.loads((Path(__file__).parent / "versions.toml").read_text(encoding="utf-8"))
    return [
        Framework(name, tuple(row.get("python", ())), tuple(row.get("node", ())), row.get("heavy", False))
        for name, row in table.items()
    ]


FRAMEWORKS = _read()


def table() -> list[str]:
    """The frameworks that are run, as rows of docs/interop.md."""
    return [
        f"| {each.name} | {', '.join((*each.python, *each.node))} | {'heavy' if each.heavy else 'works'} |"
        for each in FRAMEWORKS
    ]
