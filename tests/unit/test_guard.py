"""What may be read, contacted or logged."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.guard.paths import open_allowed
from evolink_mcp.guard.secrets import RedactingFormatter, redact
from evolink_mcp.guard.urls import UrlGuard

PUBLIC = [
    "https://example.com/a.png",
    "https://example.com:8443/a?b=c#d",
    "https://93.184.216.34/a",
    "https://[2606:4700::1]/a",
    "https://[64:ff9b::808:808]/a",
    "https://a.b.c",
]
REFUSED = [
    "http://example.com/a.png",
    "ftp://example.com/a",
    "file:///etc/passwd",
    "data:image/png;base64,AAAA",
    "/etc/passwd",
    "",
    "https://",
    "https://user:pw@example.com/a",
    "https://user@example.com/a",
    "https://localhost/a",
    "https://localhost./a",
    "https://127.0.0.1/a",
    "https://127.8.8.8/a",
    "https://[::1]/a",
    "https://10.0.0.1/a",
    "https://192.168.1.1/a",
    "https://172.16.0.1/a",
    "https://169.254.169.254/latest",
    "https://100.64.0.1/a",
    "https://[fd00::1]/a",
    "https://[fe80::1]/a",
    "https://0.0.0.0/a",
    "https://127.1/a",
    "https://0x7f.1/a",
    "https://0177.0.0.1/a",
    "https://2130706433/a",
    "https://10.1/a",
    "https://[::ffff:127.0.0.1]/a",
    "https://[::ffff:10.0.0.1]/a",
    "https://[64:ff9b::7f00:1]/a",
    "https://[2002:7f00:1::]/a",
    "https://224.0.0.1/a",
    "https://[ff02::1]/a",
    "https://printer.local/a",
    "https://metadata.google.internal/a",
    "https://intranet/a",
    "https://example.com/a b",
    "https://example.com/a\nb",
    "https://example.com:port/a",
    "https://[broken/a",
    "https://example.com/" + "a" * 9000,
]


@pytest.mark.parametrize("url", PUBLIC)
def test_public_https_links_pass(url: str) -> None:
    UrlGuard().check_spelling(url, name="image_urls")


@pytest.mark.parametrize("url", REFUSED)
def test_other_links_are_refused(url: str) -> None:
    with pytest.raises(Refused) as raised:
        UrlGuard().check_spelling(url, name="image_urls")
    text = raised.value.render(paid=True)
    assert text.startswith("image_urls: ")
    assert "Charged: no." in text
    assert len(text) < 400


@pytest.mark.parametrize("url", ["http://127.0.0.1:8787/a.png", "http://localhost/a", "https://[::1]/a"])
def test_loopback_passes_where_the_gateway_is_there(url: str) -> None:
    UrlGuard(allow_loopback=True).check_spelling(url, name="x")


def test_loopback_does_not_open_the_private_network() -> None:
    with pytest.raises(Refused):
        UrlGuard(allow_loopback=True).check_spelling("http://10.0.0.1/a", name="x")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"12345")
    (tmp_path / "private.txt").write_bytes(b"secret")
    return folder


def opened(path: object, *folders: Path, most: int = 100) -> tuple[bytes, Path, int]:
    file, real, size = open_allowed(str(path), folders, max_bytes=most)
    with file:
        return file.read(), real, size


def test_a_file_in_an_open_folder_is_read(folder: Path) -> None:
    assert opened(folder / "a.png", folder) == (b"12345", folder / "a.png", 5)


def test_a_file_below_it_is_read_too(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "b.png").write_bytes(b"1")
    assert opened(folder / "deep" / ".." / "deep" / "b.png", folder)[0] == b"1"


def test_hostile_paths_are_refused(folder: Path) -> None:
    (folder / "link.png").symlink_to(folder.parent / "private.txt")
    (folder / "up").symlink_to(folder.parent)
    (folder / "empty.png").touch()
    os.mkfifo(folder / "pipe.png")
    sibling = folder.parent / "open-not"
    sibling.mkdir()
    (sibling / "a.png").write_bytes(b"1")
    hostile = [
        folder.parent / "private.txt",
        folder / ".." / "private.txt",
        folder / "link.png",
        folder / "up" / "private.txt",
        sibling / "a.png",
        folder / "empty.png",
        folder / "pipe.png",
        folder / "missing.png",
        folder,
        "/etc/passwd",
        "a\0b",
        "~nobody-here/a.png",
        "",
    ]
    for path in hostile:
        with pytest.raises(Refused) as raised:
            opened(path, folder)
        assert "EVOLINK_UPLOAD_DIRS" in raised.value.next_step


def test_refused_files_leave_nothing_open(folder: Path) -> None:
    handles = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    before = len(list(handles.iterdir()))
    for _ in range(5):
        with pytest.raises(Refused):
            opened(folder, folder)
    assert len(list(handles.iterdir())) == before


def test_a_file_too_large_is_refused(folder: Path) -> None:
    with pytest.raises(Refused, match="5 bytes; at most 4"):
        opened(folder / "a.png", folder, most=4)


def test_no_open_folder_means_no_file(folder: Path) -> None:
    with pytest.raises(Refused, match="no folder is open"):
        opened(folder / "a.png")


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.def-123",
        "{'authorization': 'Bearer abc.def-123'}",
        "key sk-evo-abcdef123",
        "my-own-key",
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    shown = redact(text, "my-own-key", None)
    assert "abc" not in shown
    assert "my-own-key" not in shown
    assert "***" in shown


def test_a_log_line_hides_the_key_in_its_traceback_too() -> None:
    try:
        raise ValueError("no sk-verysecret here")
    except ValueError as error:
        record = logging.LogRecord("x", 40, "f", 1, "bad %s", ("topsecret",), (type(error), error, error.__traceback__))
    shown = RedactingFormatter("topsecret").format(record)
    assert "verysecret" not in shown
    assert "topsecret" not in shown
    assert "Traceback" in shown


async def test_links_are_found_wherever_they_are() -> None:
    hidden: list[dict[str, object]] = [
        {"image_start": "ftp://example.com/a"},
        {"image_urls": ["https://example.com/a", "http://10.0.0.1/a"]},
        {"model_params": {"element_list": [{"image_url": "https://127.0.0.1/a"}]}},
    ]
    for params in hidden:
        with pytest.raises(Refused):
            await UrlGuard().check_links(params)
    harmless = {"prompt": "http://10.0.0.1", "model_params": {"multi_prompt": [{"prompt": "ftp://x"}]}, "n": 1}
    assert await UrlGuard().check_links(harmless) == []
