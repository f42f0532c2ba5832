"""Draws the README's pictures of the card: ``python -m tests.interop.card.pictures``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.serve import ThreadedSandbox
from tests.interop.card.browser import Browser, browsing
from tests.interop.card.chat import LOADED, call, finished
from tests.interop.conftest import http_server, server_environment
from tests.support import Sandbox

DOCS = Path(__file__).parents[3] / "docs"
PROMPT = {"prompt": "A lighthouse on a cliff at dawn, long exposure"}


def main() -> None:
    for name in [name for name in os.environ if name.startswith("EVOLINK_")]:
        del os.environ[name]
    config = SandboxConfig(image_seconds=0, video_seconds=0)
    with ThreadedSandbox(config) as threaded, tempfile.TemporaryDirectory() as home:
        sandbox = Sandbox(threaded.url)
        env = server_environment(sandbox, key=False) | {"EVOLINK_TOOLSETS": "all"}
        with http_server(env, "--calls-per-minute", "0") as url, browsing(url, Path(home)) as browser:
            draw(browser, sandbox)
        sandbox.close()


def draw(browser: Browser, sandbox: Sandbox) -> None:
    """Takes the pictures: waiting, done and the list."""
    sandbox.configure(image_seconds=3600)
    browser.do("open", input=PROMPT, width=420)
    browser.until("Held:")
    browser.do("shoot", file=str(DOCS / "card-waiting.png"))
    sandbox.reset()
    sandbox.configure(image_seconds=0)
    finished(browser, sandbox, input={**PROMPT, "size": "16:9"}, width=420)
    browser.until_holds(LOADED.format(1))
    browser.do("shoot", file=str(DOCS / "card-picture.png"))
    for prompt in ("A red kite over the dunes", "A paper boat in the rain"):
        call(browser, "generate_image", prompt=prompt)
    call(browser, "generate_video", prompt="Waves at night")
    sandbox.settle()
    browser.do("open", tool="list_tasks", input={"status": "completed"}, width=600, theme="dark")
    browser.until_holds(LOADED.format(4))
    browser.do("shoot", file=str(DOCS / "card-list.png"))


if __name__ == "__main__":
    main()
