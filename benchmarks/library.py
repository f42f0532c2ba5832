"""The registry: loading it, checking one call, listing the models."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.contenders import REPOSITORY
from benchmarks.figures import Section, summary
from evolink_mcp.registry import load
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from evolink_mcp.tools.models import models_view


def time_rounds(work: Callable[[], object], times: int, rounds: int) -> list[float]:
    """Seconds for one ``work``, by round."""
    seconds: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(times):
            work()
        seconds.append((time.perf_counter() - started) / times)
    return seconds


LOAD = """
import mcp.server.mcpserver, time
started = time.perf_counter()
from evolink_mcp.registry import load
load()
print(time.perf_counter() - started)
"""


def loads(rounds: int) -> list[float]:
    """Seconds to load it in a fresh process that has loaded the SDK, imports included."""
    run = [sys.executable, "-c", LOAD]
    return [
        float(subprocess.run(run, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)
        for _ in range(rounds)
    ]


def sections(*, quick: bool = False) -> dict[str, Section]:
    """All of it in this process."""
    rounds = 3 if quick else 7
    registry, app = load(), App(Settings())
    wanted = {"prompt": "a picture", "size": "16:9", "n": 2, "image_urls": ["https://example.com/a.png"]}
    model = registry.defaults["image"]
    _ = app.registry
    rows = [
        ["load, once a process, at the first call that needs it", summary(loads(rounds), 1, scale=1e3), "ms"],
        [
            "check one call",
            summary(time_rounds(lambda: registry.check("image", model, wanted), 500, rounds), 0, scale=1e6),
            "µs",
        ],
        ["list_models, all", summary(time_rounds(lambda: models_view(app).as_text(), 50, rounds), 0, scale=1e6), "µs"],
        [
            "list_models, one in full",
            summary(time_rounds(lambda: models_view(app, model=model).as_text(), 50, rounds), 0, scale=1e6),
            "µs",
        ],
    ]
    return {
        "registry": Section(
            "Registry",
            [f"{len(registry.models)} models", "takes", ""],
            rows,
            "Loading waits for the first call that needs it, so that a server which only starts does not pay for it.",
        )
    }
