"""The call at a task's end: when it comes, what it says, how often it is tried, and how it can be ordered to fail."""

from __future__ import annotations

import http.server
import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from evolink_mcp.sandbox import callbacks
from tests.unit.sandbox.lab import Lab

IMAGE = "gpt-image-1"
WAIT_SECONDS = 20


class Hook:
    """A server that is called back. ``answers`` are its next statuses; then comes 204."""

    def __init__(self) -> None:
        self.calls: queue.Queue[dict[str, Any]] = queue.Queue()
        self.answers: list[int] = []
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(hook.answers.pop(0) if hook.answers else 204)
                self.send_header("content-length", "0")
                self.end_headers()
                hook.calls.put(json.loads(body))

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: test output is not for it."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def next(self) -> dict[str, Any]:
        return self.calls.get(timeout=WAIT_SECONDS)


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    thread = threading.Thread(target=hook.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield hook
    hook.server.shutdown()
    thread.join()
    hook.server.server_close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "RETRY_SECONDS", (0.0, 0.0, 0.0))


def submit(lab: Lab, hook: Hook) -> str:
    """A task that ends as soon as its time is up, and makes no files."""
    lab.fault("images", "no_urls")
    return lab.submit("image", IMAGE, callback_url=hook.url)["id"]


def test_the_call_comes_at_the_end_and_says_what_reading_the_task_says(lab: Lab, hook: Hook) -> None:
    lab.config(image_seconds=60)
    ident = submit(lab, hook)
    assert lab.task(ident)["status"] == "pending"
    lab.advance(60)
    assert hook.next() == lab.task(ident)
    assert lab.task(ident)["status"] == "completed"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_failed_or_cancelled_task_is_called_back_for_too(lab: Lab, hook: Hook, status: str) -> None:
    order = {"kind": "task_error"} if status == "failed" else {"kind": "task_status", "status": status}
    lab.fault("images", **order)  # pyright: ignore[reportArgumentType]
    lab.submit("image", IMAGE, callback_url=hook.url)
    assert hook.next()["status"] == status


def test_what_is_not_answered_with_2xx_is_tried_three_times_more(lab: Lab, hook: Hook, at_once: None) -> None:
    hook.answers = [500, 404, 302, 503]
    submit(lab, hook)
    assert [hook.next()["status"] for _ in range(4)] == ["completed"] * 4
    submit(lab, hook)
    hook.next()
    assert hook.calls.empty()  # neither a fifth for the first task, nor a second for the other
    assert callbacks.CALL_SECONDS == 10


def test_the_pauses_between_tries_are_those_of_the_pages() -> None:
    assert callbacks.RETRY_SECONDS == (1, 2, 4)


def test_a_call_can_be_ordered_not_to_come_to_come_twice_late_or_before_the_end(lab: Lab, hook: Hook) -> None:
    lab.fault("images", "callback", how="never")
    submit(lab, hook)
    lab.fault("images", "callback", how="twice")
    twice = submit(lab, hook)
    assert [hook.next()["id"] for _ in range(2)] == [twice] * 2
    lab.config(image_seconds=60)
    lab.fault("images", "callback", how="forged")
    forged = submit(lab, hook)
    assert hook.next()["status"] == "pending"
    lab.advance(60)
    assert (called := hook.next())["id"] == forged
    assert called["status"] == "completed"
    lab.config(image_seconds=0)
    lab.fault("images", "callback", how="late", seconds=0.1)
    late = submit(lab, hook)
    assert hook.next()["id"] == late
    assert hook.calls.empty()


def test_a_call_can_be_ordered_to_come_before_the_answer_to_the_creation(lab: Lab, hook: Hook) -> None:
    lab.fault("images", "callback", how="first")
    ident = submit(lab, hook)
    assert hook.calls.get_nowait()["id"] == ident
    assert lab.control("GET", "callbacks")["callbacks"] == [{"task_id": ident, "status": "completed", "answer": 204}]


def test_an_address_elsewhere_is_taken_and_never_called(lab: Lab, hook: Hook) -> None:
    lab.fault("images", "no_urls")
    lab.submit("image", IMAGE, callback_url="https://example.com/hook")
    submit(lab, hook)
    hook.next()
    assert len(lab.control("GET", "callbacks")["callbacks"]) <= 1


def test_an_order_for_calls_names_a_manner_that_there_is(lab: Lab) -> None:
    response = lab.http.post("/_sandbox/faults", json={"route": "images", "kind": "callback", "how": "rarely"})
    assert response.status_code == 400
    assert "late" in response.json()["error"]["message"]
