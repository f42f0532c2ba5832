"""What is on the card, in both themes, narrow and wide: it can be read, and it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.interop.card.browser import Browser
from tests.interop.card.chat import BLOCKED, KITE, LOADED, call, finished
from tests.support import Sandbox

pytestmark = pytest.mark.xdist_group("card")  # one browser for all cards

STATES: dict[str, dict[str, Any]] = {
    "waiting": {},
    "picture": {},
    "four": {"input": {**KITE, "n": 4, "model": "gpt-image-1.5"}},
    "film": {"tool": "generate_video"},
    "sound": {"tool": "generate_audio"},
    "failed": {},
    "expired": {"ahead": 25 * 3600},
    "refused": {"input": {**KITE, "n": 900}},
    "list": {"tool": "list_tasks", "input": {}},
}
WORDS = {
    "waiting": "Held:",
    "failed": "could not be made",
    "expired": "The link has died.",
    "refused": "This did not work",
    "list": "1 task",
}
SHOWN = {"picture": 1, "four": 4, "film": 1, "list": 1}  # pictures


@pytest.mark.parametrize("state", STATES)
def test_every_state_can_be_read_in_both_themes_and_every_width(
    state: str, browser: Browser, sandbox: Sandbox, tmp_path: Path
) -> None:
    if state == "waiting":
        sandbox.configure(image_seconds=3600)
    if state == "failed":
        sandbox.fault("images", "task_error", code="upstream_error", message="it broke", times=0)
    if state == "expired":
        sandbox.configure(link_seconds=0)
    if state == "list":
        call(browser, "generate_image", **KITE)
        sandbox.settle()
    show = finished if state not in ("waiting", "refused", "list") else opened
    show(browser, sandbox, theme="dark", width=320, domains=False, **STATES[state])
    browser.until(WORDS.get(state, "is ready"))
    browser.until_holds(LOADED.format(SHOWN.get(state, 0)))
    for theme in ("dark", "light"):
        browser.do("dress", theme=theme)
        browser.until_holds(f"document.documentElement.style.colorScheme === '{theme}'")
        for width in (320, 900):
            browser.do("resize", width=width)
            browser.until_holds(f"innerWidth === {width}")
            assert browser.audit() == []
            shot = tmp_path / f"{theme}-{width}.png"
            browser.do("shoot", file=str(shot))
            assert colours(shot) > (50 if state in SHOWN else 8)
    assert browser.trouble(*BLOCKED) == []


def opened(browser: Browser, _: Sandbox, **more: Any) -> None:
    """Shows the card of a call as it is made."""
    browser.do("open", **{"input": KITE, **more})


def colours(picture: Path) -> int:
    """How many different colours a picture has: one that is blank has one."""
    from PIL import Image

    with Image.open(picture) as image:
        return len(image.convert("RGB").quantize(256).getcolors() or ())
