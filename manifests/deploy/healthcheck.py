"""Whether the server in this container answers. Over stdio nothing listens, and nothing is wrong with that."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

PORT = 8000


def port_of(arguments: list[str]) -> int | None:
    """The port the process with these arguments serves HTTP on; ``None`` where it serves stdio."""
    if "http" not in arguments:
        return None
    for index, argument in enumerate(arguments):
        if argument == "--port" and index + 1 < len(arguments):
            return int(arguments[index + 1])
        if argument.startswith("--port="):
            return int(argument.removeprefix("--port="))
    return PORT


def healthy(port: int) -> bool:
    """Whether /health answers 200 within three seconds."""
    # Never through a proxy that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/health", timeout=3) as answer:
            return answer.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    served = port_of(Path("/proc/1/cmdline").read_text(encoding="utf-8", errors="replace").split("\0"))
    sys.exit(0 if served is None or healthy(served) else 1)
