"""Files that the sandbox fetches by a link."""

from __future__ import annotations

import pytest

from evolink_mcp.sandbox.fetch import on_loopback
from tests.unit.sandbox.lab import Lab, png
from tests.unit.sandbox.web import URL, code


def test_a_file_is_fetched_from_this_machine(lab: Lab, web: str) -> None:
    data = lab.post(URL, {"file_url": f"{web}/kite.png?x=1"})["data"]
    assert (data["original_name"], data["mime_type"]) == ("kite.png", "image/png")
    assert lab.open(data["file_url"]).content == png()


def test_a_result_can_be_uploaded_by_its_link(lab: Lab) -> None:
    task = lab.make("image", "gpt-image-1", size="64x64")
    before = len(lab.control("GET", "requests")["requests"])
    data = lab.post(URL, {"file_url": task["results"][0], "upload_path": "kept"})["data"]
    assert (data["file_name"], data["upload_path"]) == ("image-1.png", "kept")
    assert lab.open(data["file_url"]).content == lab.result(task).content
    assert len(lab.control("GET", "requests")["requests"]) == before + 3


def test_an_expired_result_cannot_be_uploaded(lab: Lab) -> None:
    task = lab.make("image", "gpt-image-1", size="64x64")
    lab.advance(86_401)
    assert code(lab.http.post(URL, json={"file_url": task["results"][0]})) == 40004


@pytest.mark.parametrize("path", ["/missing", "/moved", "/broken"])
def test_a_download_that_fails_is_40004(lab: Lab, web: str, path: str) -> None:
    response = lab.http.post(URL, json={"file_url": web + path})
    assert (response.status_code, code(response)) == (400, 40004)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "http://192.168.0.1/a.png",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "http://[",
        "http://127.0.0.1.example.com/",
    ],
)
def test_nothing_off_this_machine_is_contacted(lab: Lab, url: str) -> None:
    response = lab.http.post(URL, json={"file_url": url})
    assert (response.status_code, code(response)) == (400, 40004)
    assert "only reaches this machine" in response.json()["msg"]


def test_nobody_listening_is_40004(lab: Lab) -> None:
    assert code(lab.http.post(URL, json={"file_url": "http://127.0.0.1:1/a.png"})) == 40004


def test_a_download_without_end_is_given_up_at_the_limit(lab: Lab, small_limit: int, web: str) -> None:
    assert code(lab.http.post(URL, json={"file_url": f"{web}/endless"})) == 40001


def test_loopback_is_recognised_in_its_spellings() -> None:
    assert all(map(on_loopback, ("http://localhost:1/", "https://127.9.9.9/", "http://[::1]/")))
    assert not any(map(on_loopback, ("ftp://127.0.0.1/", "http://localhost.example.com/", "//127.0.0.1/", "")))
