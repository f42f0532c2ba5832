"""What tests do with a card: make something, press buttons, read what reached the host."""

from __future__ import annotations

from typing import Any

from tests.interop.card.browser import Browser
from tests.support import Sandbox

KITE = {"prompt": "a red kite over the dunes"}
LOADED = (
    "[...document.querySelectorAll('img')].length >= {} && [...document.images].every(each => each.naturalWidth > 0)"
)
# What a browser writes where a policy blocks a link, which is what a host without domains is for.
BLOCKED = ("violates the following Content Security Policy", "Refused to load", "ERR_BLOCKED_BY_CSP")
EVOLINK = "https://files.evolink.ai"


def finished(browser: Browser, sandbox: Sandbox, tool: str = "generate_image", **more: Any) -> str:
    """Shows the card of something that was made; the task's id."""
    arguments = more.pop("input", KITE)
    made = call(browser, tool, **arguments)["structuredContent"]
    sandbox.settle()
    result = call(browser, "check_task", task_id=made["task_id"], wait_seconds=0)
    browser.do("open", tool=tool, input=arguments, result=result, **more)
    browser.until_holds("view.asked")  # the card has asked the server once, and is drawn for the last time
    return made["task_id"]


def call(browser: Browser, tool: str, **arguments: Any) -> dict[str, Any]:
    """Calls a tool as the host does; its result."""
    return browser.do("call", method="callTool", params={"name": tool, "arguments": arguments})


def pressed(browser: Browser, label: str) -> Any:
    """Presses a button that asks the host for something; the last request."""
    count = browser.do("host", script="window.asked.length")
    browser.do("click", label=label)
    return browser.do("asked", count=count + 1)[-1]


def message(asked: Any) -> str:
    kind, params = asked
    assert kind == "message"
    assert params["role"] == "user"
    return params["content"][0]["text"]
