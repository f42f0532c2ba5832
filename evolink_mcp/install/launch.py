"""The command that starts this installation, whatever the client's PATH is."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

PACKAGE = "evolink-mcp"
# The folders that `uvx` and `pipx run` make for one run and may throw away afterwards.
SHORT_LIVED = re.compile(r"[\\/](?:archive-v\d+|environments-v\d+|builds-v\d+|pipx[\\/]\.cache)[\\/]")


@dataclass(frozen=True)
class Launch:
    """A command and its arguments. ``note`` is what the user should know about it, if anything."""

    command: str
    args: tuple[str, ...] = ()
    note: str = ""

    def with_args(self, *more: str) -> Launch:
        return Launch(self.command, (*self.args, *more), self.note)


PUBLISHED = Launch("uvx", (PACKAGE,))


def running(executable: str = sys.executable, scripts: str | None = None) -> Launch:
    """How to start the installation that runs now.

    By the script beside the interpreter if there is one, else by the interpreter. An installation that ``uvx`` made for
    this one run is started by ``uvx`` again, from the same source.
    """
    if SHORT_LIVED.search(executable):
        uvx = shutil.which("uvx")
        if uvx:
            source = came_from()
            return Launch(uvx, ("--from", source, PACKAGE) if source else (PACKAGE,))
        note = "This runs from a temporary installation, which may vanish: install evolink-mcp with pipx or uv first."
        return Launch(executable, ("-m", "evolink_mcp"), note)
    name = f"{PACKAGE}.exe" if os.name == "nt" else PACKAGE
    for folder in (Path(executable).parent, Path(scripts or sysconfig.get_path("scripts"))):
        script = folder / name
        if script.is_file() and os.access(script, os.X_OK):
            return Launch(str(script.absolute()))
    return Launch(executable, ("-m", "evolink_mcp"))


def came_from() -> str:
    """The wheel or checkout that this installation was made of; "" where it came from an index."""
    try:
        text = Distribution.from_name(PACKAGE).read_text("direct_url.json")
    except PackageNotFoundError:
        return ""
    if not text:
        return ""
    source = json.loads(text)
    address = str(source.get("url", ""))
    if address.startswith("file:"):
        return url2pathname(urlsplit(address).path)
    address = re.sub(r"(?<=://)[^/@]*@", "", address)  # a password is not written into another file
    vcs = source.get("vcs_info", {}).get("vcs", "")
    return f"{vcs}+{address}" if vcs else address
