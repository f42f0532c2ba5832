"""An output folder that brings links and strangers' files along: nothing outside it is read, written or removed."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mcp.client import Client

from evolink_mcp.media import folder, sidecars
from evolink_mcp.media.folder import Folder
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.saving import STEM, listed, new_saver, task
from tests.contract.servers import serving
from tests.support import FakeClock, ok, refused

Connect = Callable[[App], Client]
ELSEWHERE = "task-unified-1767225600-abcdefgh"  # of no task of the sandbox
LONG_AGO = time.time() - 30 * 86_400


@pytest.fixture
def out(settings: Settings) -> Path:
    assert settings.output_dir is not None
    settings.output_dir.mkdir()
    return settings.output_dir


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder that is none of ours, with old files whose names look like ours."""
    folder = tmp_path / "victim"
    folder.mkdir()
    for name in ("credentials.json", "request-task-1.json", f".{STEM}-0000dead.evolink-part"):
        old(folder / name)
    return folder


def old(path: Path, content: str = "{}") -> None:
    path.write_text(content, encoding="utf-8")
    os.utime(path, (LONG_AGO, LONG_AGO))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_linked_folder_of_requests_is_left_alone(client: Client, out: Path, victim: Path) -> None:
    (out / sidecars.REQUESTS_FOLDER).symlink_to(victim)
    before = contents(victim)
    task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    assert task["results"][0]["saved_path"]
    assert contents(victim) == before


async def test_a_linked_output_folder_is_refused_in_words(
    settings: Settings, clock: FakeClock, connect: Connect, tmp_path: Path, victim: Path
) -> None:
    (tmp_path / "linked").symlink_to(victim)
    before = contents(victim)
    async with connect(App(replace(settings, output_dir=tmp_path / "linked"), clock=clock)) as client:
        task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    assert task["results"][0]["url"]
    assert any("is a link to another place" in note for note in task["notes"])
    assert contents(victim) == before


@pytest.mark.parametrize("name", ["{here}/credentials.json", "x\0", "\ud800", "..", ""])
async def test_a_note_that_names_what_is_no_file_of_the_folder_leads_nowhere(
    client: Client, out: Path, victim: Path, name: str
) -> None:
    files = [name.format(here=os.path.relpath(victim, out)), str(victim / "credentials.json")]
    (out / "20260101-x-abcdefgh.json").write_text(json.dumps({"task_id": ELSEWHERE, "files": files}))
    text = await refused(client, "check_task", task_id=ELSEWHERE, wait_seconds=0)
    assert "HTTP 404" in text
    assert "nothing is lost" not in text


@pytest.mark.parametrize("files", [5, True])
async def test_a_note_that_names_no_list_of_files_names_none(client: Client, out: Path, files: object) -> None:
    (out / "20260101-x-abcdefgh.json").write_text(json.dumps({"task_id": ELSEWHERE, "files": files}))
    assert "HTTP 404" in await refused(client, "check_task", task_id=ELSEWHERE, wait_seconds=0)


async def test_a_parent_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "real")
    async with serving() as host:
        await new_saver(tmp_path / "way" / "out").save(task(host.url()), seconds=5)
    assert listed(tmp_path / "real" / "out") == [f"{STEM}-1.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_what_is_no_regular_file_is_neither_waited_for_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    with Folder.open(tmp_path) as opened:
        for name in ("link", "pipe"):
            with pytest.raises(OSError):  # noqa: PT011 (which one is the system's business)
                opened.open_file(name)
            opened.remove(name)
        assert sorted(opened.names()) == ["a", "link", "pipe"]


async def test_only_old_files_of_our_own_names_and_kind_are_removed(client: Client, out: Path) -> None:
    requests = out / sidecars.REQUESTS_FOLDER
    requests.mkdir()
    ours = ["request-task-1.json", ".request-task-1-0000dead.evolink-part"]
    theirs = ["keys.json", "task-1.json", "request.json", "my-request-1.json", "request-1.json.bak", "x.evolink-part"]
    for name in (*ours, *theirs):
        old(requests / name, '{"model": "gpt-image-2"}')
    old(requests / "request-list.json", "[1, 2]")
    (requests / "request-linked.json").symlink_to(requests / "keys.json")
    (requests / "request-folder.json").mkdir()
    await ok(client, "generate_image", prompt="x", wait_seconds=20)
    assert set(listed(requests)) == {*theirs, "request-list.json", "request-linked.json", "request-folder.json"}


async def test_only_half_done_files_of_our_own_names_are_swept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    theirs = [".mine.evolink-part", f"{STEM}-0000dead.evolink-part", f".{STEM}-dead.evolink-part"]
    for name in (*theirs, f".{STEM}-0000dead.evolink-part"):
        old(tmp_path / "out" / name)
    async with serving() as host:
        await new_saver(tmp_path / "out").save(task(host.url()), seconds=5)
    assert listed(tmp_path / "out") == sorted([*theirs, f"{STEM}-1.png"])


async def test_a_link_with_a_results_name_is_no_saved_result(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "out" / f"{STEM}-1.png").symlink_to(tmp_path / "secret.png")
    async with serving() as host:
        (outcome,) = await new_saver(tmp_path / "out").save(task(host.url()), seconds=5)
    assert "is not a file" in str(outcome)
    assert (tmp_path / "secret.png").read_bytes() == b"secret"


@pytest.mark.parametrize("kind", ["link", "theirs", "folder"])
async def test_what_has_a_sidecars_name_and_is_not_ours_stays(
    client: Client, out: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    (sidecar,) = out.glob("*.json")
    sidecar.unlink()
    (out / Path(made["results"][0]["saved_path"]).name).unlink()
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"token": "abc"}), encoding="utf-8")
    if kind == "link":
        sidecar.symlink_to(secret)
    elif kind == "folder":
        sidecar.mkdir()
    else:
        sidecar.write_bytes(secret.read_bytes())
    again = await ok(client, "check_task", task_id=made["task_id"])
    assert again["results"][0]["saved_path"]
    assert "could not be written" in caplog.text
    assert json.loads(secret.read_text(encoding="utf-8")) == {"token": "abc"}
    assert sidecar.is_symlink() == (kind == "link")
    assert kind == "folder" or json.loads(sidecar.read_text(encoding="utf-8")) == {"token": "abc"}


async def test_a_prompt_and_a_path_of_any_bytes_are_noted(client: Client, settings: Settings, out: Path) -> None:
    note = {"model": "m", "prompt": "a \udce9 b", "image_urls": ["/caf\udce9/é.png"]}
    sidecars.note_request(out, task(), note)
    (path,) = (out / sidecars.REQUESTS_FOLDER).glob("request-*")
    assert json.loads(path.read_text(encoding="utf-8")) == note


def test_a_swapped_folder_is_not_followed(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "out").mkdir()
    before = contents(victim)
    with Folder.open(tmp_path / "out") as opened:
        (tmp_path / "out").rename(tmp_path / "before")
        (tmp_path / "out").symlink_to(victim)
        with opened.partial(STEM) as (name, file):
            file.write(b"x")
            file.close()
            opened.place(name, "a.png")
    assert contents(victim) == before
    assert listed(tmp_path / "before") == ["a.png"]


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="only Linux has a name for passing a folder")
async def test_a_folder_that_may_be_written_to_but_not_listed_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a user without the right to read it: whoever opens a folder for more than passing is refused."""
    real = os.open

    def strict(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_DIRECTORY and not flags & os.O_PATH:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(folder.os, "open", strict)
    async with serving() as host:
        (outcome,) = await new_saver(tmp_path / "out").save(task(host.url()), seconds=5)
    assert outcome == tmp_path / "out" / f"{STEM}-1.png"
    assert listed(tmp_path / "out") == [f"{STEM}-1.png"]
