"""Answers that break: dropped, hung, stalled, trickled and late ones."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx2
import pytest

from evolink_mcp.sandbox.app import create_app
from tests.unit.sandbox.lab import KEY, PAID, Lab, png

IMAGE = {"model": "gpt-image-1", "prompt": "x", "size": "64x64"}


DROPPED = (httpx2.RemoteProtocolError, httpx2.ReadError)


def submit(lab: Lab, timeout: float = 20) -> httpx2.Response:
    return lab.http.post(PAID["image"], json=IMAGE, timeout=timeout)


@pytest.mark.parametrize(("kind", "paid"), [("drop_before", 0), ("drop_after", 1)])
def test_a_connection_can_break_before_and_after_the_task(lab: Lab, kind: str, paid: int) -> None:
    lab.fault("images", kind)
    with pytest.raises(DROPPED):
        submit(lab)
    assert lab.paid() == paid
    assert submit(lab).status_code == 200


def test_a_connection_can_break_after_an_upload(lab: Lab) -> None:
    lab.fault("upload_stream", "drop_after")
    with pytest.raises(DROPPED):
        lab.upload(png())
    assert lab.get("/api/v1/files/list")["data"]["total"] == 1


@pytest.mark.parametrize(("created", "paid"), [(False, 0), (True, 1)])
def test_a_hanging_answer_never_comes(lab: Lab, created: bool, paid: int) -> None:
    lab.fault("images", "hang", created=created)
    with pytest.raises(httpx2.ReadTimeout):
        submit(lab, timeout=0.1)
    assert lab.paid() == paid
    assert submit(lab).status_code == 200


def test_a_hanging_answer_ends_in_a_dropped_connection(lab: Lab) -> None:
    lab.fault("images", "hang", seconds=0.01)
    with pytest.raises(DROPPED):
        submit(lab)


def test_a_stalled_answer_stops_in_the_middle(lab: Lab) -> None:
    lab.fault("images", "stall")
    with lab.http.stream("POST", PAID["image"], json=IMAGE, timeout=0.1) as response:
        assert response.status_code == 200
        promised, got = int(response.headers["content-length"]), 0
        with pytest.raises(httpx2.ReadTimeout):  # noqa: PT012
            for chunk in response.iter_bytes():
                got += len(chunk)
        assert 0 < got < promised
    assert lab.paid() == 1


def test_a_stalled_answer_ends_in_a_dropped_connection(lab: Lab) -> None:
    lab.fault("images", "stall", seconds=0.01)
    with pytest.raises(DROPPED):
        submit(lab)


def test_a_download_can_stall(lab: Lab) -> None:
    task = lab.make("image", "gpt-image-1", size="64x64")
    lab.fault("result", "stall", seconds=0.01)
    with pytest.raises(DROPPED):
        lab.open(task["results"][0])
    assert lab.open(task["results"][0]).status_code == 200


def test_a_trickled_answer_comes_whole_in_the_end(lab: Lab) -> None:
    lab.fault("images", "trickle", delay=0.0001)
    with lab.http.stream("POST", PAID["image"], json=IMAGE) as response:
        chunks = list(response.iter_raw())
        assert len(b"".join(chunks)) == int(response.headers["content-length"])
    assert len(chunks) > 1
    assert lab.paid() == 1
    # The answer was properly ended: its connection can be used again.
    assert submit(lab).status_code == 200


def test_a_trickled_answer_stops_when_the_client_leaves(lab: Lab) -> None:
    lab.fault("images", "trickle", delay=30)
    with pytest.raises(httpx2.ReadTimeout):
        submit(lab, timeout=0.1)
    assert submit(lab).status_code == 200


def test_a_slow_answer_is_late_but_right(lab: Lab) -> None:
    lab.fault("images", "slow", delay=0.05)
    started = time.monotonic()
    assert submit(lab).json()["status"] == "pending"
    assert time.monotonic() - started >= 0.05


def test_a_download_can_be_redirected(lab: Lab) -> None:
    task = lab.make("image", "gpt-image-1", size="64x64")
    lab.fault("result", "redirect", location="http://10.0.0.1/x")
    response = lab.open(task["results"][0])
    assert (response.status_code, response.headers["location"]) == (302, "http://10.0.0.1/x")


async def test_a_foreign_server_cannot_drop_connections() -> None:
    app = create_app()
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {KEY}"}
    ) as client:
        await client.post("/_sandbox/faults", json={"kind": "drop_before"})
        with pytest.raises(RuntimeError, match="own server"):
            await client.get("/v1/credits")
    app.state.sandbox.close()


def test_a_client_that_leaves_while_sending_is_nobodys_problem(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    started = threading.Event()

    def endless() -> Any:
        yield b"{"
        started.set()
        raise RuntimeError("the client breaks")

    with pytest.raises(RuntimeError, match="breaks"):
        lab.http.post(PAID["image"], content=endless())
    assert started.is_set()
    assert submit(lab).status_code == 200
    assert "Exception in ASGI" not in caplog.text
