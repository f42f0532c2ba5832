"""Speaks to ``host.mjs``: a browser in which one card at a time is shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from tests.interop import software
from tests.interop.software import VERSIONS, Missing
from tests.programs import end
from tests.support import KEY

HERE = Path(__file__).parent
CHROMIUM = ("chromium", "chromium-headless-shell", "google-chrome")
# Whether everything on the card can be read and reached. The contrast is WCAG's; 4.5 is its level AA.
AUDIT = (HERE / "audit.js").read_text(encoding="utf-8")


class Browser:
    """A running ``host.mjs``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, command: str, **arguments: Any) -> Any:
        """Has a command carried out; its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = cast("dict[str, Any]", json.loads(self._process.stdout.readline()))
        assert "error" not in answer, answer["error"]
        return answer["answer"]

    def until(self, words: str) -> str:
        """Waits for words on the card; all that it says."""
        self.do("until", words=words)
        return self.do("text")

    def until_holds(self, script: str) -> None:
        """Waits for an expression to hold in the card."""
        self.do("until", script=script)

    def audit(self) -> list[str]:
        """What is wrong with what is shown, one line each."""
        return self.do("run", script=AUDIT)

    def trouble(self, *allowed: str) -> list[str]:
        """Errors of the page but for those that hold one of ``allowed``."""
        lines = cast("list[str]", self.do("trouble"))
        return [line for line in lines if not any(words in line for words in allowed)]


def folder() -> Path:
    """Where the host's npm packages are installed, with our scripts beside them.

    Raises:
        Missing: npm or the network.
    """
    wanted = [f"{name}@{version}" for name, version in VERSIONS["cards"].items()]
    return software.packages(f"cards-{VERSIONS['cards']['@modelcontextprotocol/ext-apps']}", *wanted)


def chromium() -> str:
    """The browser.

    Raises:
        Missing: There is none.
    """
    for name in CHROMIUM:
        if found := shutil.which(name):
            return found
    raise Missing(f"no {' or '.join(CHROMIUM)} is installed (Debian: apt-get install chromium)")


@contextmanager
def browsing(url: str, home: Path) -> Generator[Browser]:
    """A browser whose cards are fed by the server at ``url``."""
    packages = folder()
    for script in ("host.mjs", "hostpage.js"):
        target = packages / script
        fresh = target.with_suffix(f".{os.getpid()}")  # runs of other clones share the folder
        fresh.write_bytes((HERE / script).read_bytes())
        fresh.replace(target)
    given = json.dumps({"chromium": chromium(), "url": url, "key": KEY})
    command = [str(software.node()), str(packages / "host.mjs"), given]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield Browser(process)
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)
        finally:
            end(cast("Any", process))
