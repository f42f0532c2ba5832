"""What the doctor says of hosts: reachable, refused, hung."""

from __future__ import annotations

import socket
import threading
import time

import anyio
import pytest

from tests.support import Sandbox
from tests.unit.doctor.runs import Run


def test_the_text_host_is_asked_only_where_texts_are_offered(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVOLINK_TEXT_URL", "http://127.0.0.1:1")
    assert Run(capsys).code == 0
    monkeypatch.setenv("EVOLINK_TOOLSETS", "all")
    run = Run(capsys)
    assert run.code == 1
    assert ("wrong", True) in [(level, "127.0.0.1:1" in told) for level, told in run.found("host")]


def test_a_key_that_is_refused_is_told_with_the_way_out(ready: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    ready.fault("credits", "status", status=401)
    run = Run(capsys)
    assert run.code == 1
    level, told = run.only("key accepted")
    assert level == "wrong"
    assert "401" in told


def test_hosts_that_do_not_answer_are_told_with_the_reason(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("EVOLINK_FILES_URL", f"http://127.0.0.1:{port}")
    run = Run(capsys)
    assert run.code == 1
    (wrong,) = [told for level, told in run.found("host") if level == "wrong"]
    assert str(port) in wrong
    assert "EVOLINK_FILES_URL" in run.text


def test_a_hung_host_does_not_hold_it_up(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evolink_mcp.doctor.network.QUESTION_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as hung:
        monkeypatch.setenv("EVOLINK_BASE_URL", f"http://127.0.0.1:{hung.getsockname()[1]}")
        started = time.monotonic()
        run = Run(capsys)
    assert time.monotonic() - started < 25
    assert run.code == 1
    assert any("no answer" in told for _, told in run.found("host"))
    assert run.only("key accepted")[0] == "wrong"


def test_a_name_that_is_looked_up_for_ever_does_not_hold_it_up(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end = threading.Event()

    async def hangs(*_: object) -> None:
        await anyio.to_thread.run_sync(end.wait, 30)  # as a name server does that swallows questions

    monkeypatch.setattr("evolink_mcp.doctor.network._reach", hangs)
    monkeypatch.setattr("evolink_mcp.doctor.network.MAX_SECONDS", 3.0)
    started = time.monotonic()
    try:
        run = Run(capsys)
    finally:
        end.set()
    assert time.monotonic() - started < 25
    assert run.code == 1
    assert "cannot be reached: no answer" in run.only("host")[1]
    assert run.only("key accepted")[0] == "ok"


@pytest.mark.parametrize(("allowed", "level"), [("0", "note"), ("1", "ok")])
def test_a_proxy_in_fake_ip_mode_is_told_with_the_setting_for_it(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], allowed: str, level: str
) -> None:
    real = socket.getaddrinfo

    def fake(host: str | bytes, *rest: object, **more: object) -> object:
        name = host.decode() if isinstance(host, bytes) else host
        return real("198.18.0.7" if name == "files.example.com" else host, *rest, **more)  # pyright: ignore

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    monkeypatch.setattr("evolink_mcp.doctor.network.QUESTION_SECONDS", 0.3)
    monkeypatch.setenv("EVOLINK_FILES_URL", "https://files.example.com")
    monkeypatch.setenv("EVOLINK_FAKE_IP", allowed)
    run = Run(capsys)
    assert run.only("names")[0] == level
    assert "EVOLINK_FAKE_IP" in run.text


def test_a_proxy_that_cannot_be_used_is_told_at_once_and_without_its_password(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2/3@proxy.test:8080")
    run = Run(capsys)
    assert {level for level, _ in run.found("host")} == {"wrong"}
    assert all("HTTPS_PROXY is not the address of a proxy" in told for _, told in run.found("host"))
    assert "hunter2" not in run.text


def test_a_proxy_at_a_port_that_does_not_exist_is_told_of_the_hosts_behind_it(
    ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:99999")
    monkeypatch.setenv("EVOLINK_FILES_URL", "https://files.test")
    run = Run(capsys)
    (told,) = [told for level, told in run.found("host") if level == "wrong"]
    assert "HTTPS_PROXY is not the address of a proxy" in told
