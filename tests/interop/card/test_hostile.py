"""What a hostile gateway puts into its answers stays text on the card, and leads nowhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.interop.card.browser import Browser
from tests.interop.card.chat import finished, message, pressed
from tests.support import Sandbox

pytestmark = pytest.mark.xdist_group("card")  # one browser for all cards

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>\'"javascript:alert(3)'


def test_markup_from_the_gateway_stays_text(browser: Browser, sandbox: Sandbox) -> None:
    sandbox.fault("images", "task_error", code="upstream_error", message=EVIL)
    finished(browser, sandbox, input={"prompt": EVIL})
    told = browser.until("could not be made")
    assert "<img src=x onerror=" in told
    assert browser.do("run", script="document.querySelectorAll('img, main script, main b').length") == 0
    assert browser.trouble() == []


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://evil.example/x.png",
        "https://evolink.ai.evil.example/x.png",
        "https://evilevolink.ai/x.png",
        "https://files.evolink.ai@evil.example/x.png",
        "http://files.evolink.ai/x.png",
        "data:text/html,<script>alert(1)</script>",
        "//evil.example/x",
        "https://files.evolink.ai:444/x.png",
    ],
)
def test_a_foreign_link_is_never_followed(browser: Browser, url: str) -> None:
    browser.do("open", result=hostile(url), without=["serverTools"])
    told = browser.until("Your image is ready")
    assert "onerror" in told
    assert "Open" not in browser.do(
        "run", script="[...document.querySelectorAll('button')].map(each => each.textContent)"
    )
    assert "http" not in message(pressed(browser, "Use as reference"))
    shown = browser.do(
        "run", script="[...document.querySelectorAll('[src], [href], [poster]')].map(each => each.outerHTML)"
    )
    assert shown == []
    assert browser.do("run", script="document.querySelectorAll('script').length") == 1
    assert browser.trouble() == []


def hostile(url: str) -> dict[str, Any]:
    """A result in which every text is markup and the link leads elsewhere."""
    task = {
        "task_id": "task-unified-1",
        "kind": "image",
        "model": EVIL,
        "status": "completed",
        "prompt": EVIL,
        "results": [
            {"url": url, "kind": "image", "mime_type": EVIL, "expires_at": EVIL, "saved_path": EVIL, "width": EVIL}
        ],
        "asked_differs": [EVIL],
        "credits_charged": EVIL,
        "notes": [EVIL],
        "next_step": EVIL,
    }
    return {"content": [{"type": "text", "text": EVIL}], "structuredContent": task}


ODD: list[dict[str, Any]] = [
    {"task_id": "t", "status": "completed", "results": "no list"},
    {"task_id": "t", "status": {"a": 1}, "kind": ["x"], "results": [None, 3, {"url": 5}], "error": "text"},
    {
        "task_id": "t",
        "status": "constructor",
        "kind": "__proto__",
        "polling": 7,
        "progress": "x",
        "asked_differs": 5,
    },
    {"tasks": [None, 5, {"task_id": 7, "saved_paths": 1, "prompt": {}}]},
    {"task": 5},
    {},
]


@pytest.mark.parametrize("content", ODD, ids=json.dumps)
def test_odd_results_harm_nothing(browser: Browser, content: dict[str, Any]) -> None:
    result = {"content": [{"type": "text", "text": "words"}, {"type": "image"}], "structuredContent": content}
    browser.do("open", result=result, without=["serverTools"])
    browser.until_holds("document.querySelector('h1')")
    assert browser.audit() == []
    assert browser.trouble() == []
