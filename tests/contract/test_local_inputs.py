"""Local files where links are expected: uploaded before anything is paid for, and told."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import pytest
from mcp.client import Client

from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, body, ok, png, refused

Connect = Callable[[App], Client]
CALL: dict[str, Any] = {"prompt": "make it night", "model": "gpt-image-2"}


@pytest.fixture
def cat(settings: Settings) -> Path:
    path = settings.upload_dirs[0] / "cat.png"
    path.write_bytes(png(512, 512))
    return path


@pytest.fixture
def dog(settings: Settings) -> Path:
    path = settings.upload_dirs[0] / "a dog é#1.png"
    path.write_bytes(png(512, 256))
    return path


def uploads(sandbox: Sandbox) -> int:
    return len(sandbox.requests("/upload/stream"))


async def stored(client: Client) -> dict[str, str]:
    """The ids of what is stored, by name."""
    listed = await ok(client, "list_files")
    return {file["file_name"]: file["file_id"] for file in listed["files"]}


async def test_local_images_are_uploaded_first_and_told(client: Client, sandbox: Sandbox, cat: Path, dog: Path) -> None:
    link = "https://example.com/a.png"
    task = await ok(client, "generate_image", **CALL, image_urls=[str(cat), link, str(dog)])
    first, second, third = body(sandbox)["image_urls"]
    assert second == link
    assert all(each.startswith(f"{sandbox.url}/files/") for each in (first, third))
    paths = [request["path"] for request in sandbox.requests() if request["method"] == "POST"]
    assert paths[-1] == "/v1/images/generations"
    assert len(paths) == 3
    ids = await stored(client)
    assert len(ids) == 2
    for file_id in ids.values():
        (note,) = [note for note in task["notes"] if file_id in note]
        assert note.startswith(("image_urls[0]: uploaded cat.png", "image_urls[2]: uploaded a dog é#1.png"))
        assert "72 h" in note
        assert "delete_file" not in note


async def test_the_uploaded_bytes_are_those_of_the_file(client: Client, sandbox: Sandbox, cat: Path) -> None:
    import httpx2

    await ok(client, "generate_image", **CALL, image_urls=[str(cat)])
    (link,) = body(sandbox)["image_urls"]
    with httpx2.Client(trust_env=False) as http:
        assert http.get(link).content == cat.read_bytes()


async def test_a_mask_and_its_picture_are_uploaded(client: Client, sandbox: Sandbox, cat: Path, dog: Path) -> None:
    mask = cat.with_name("mask.png")
    mask.write_bytes(png(512, 512))
    task = await ok(
        client, "generate_image", prompt="x", model="gpt-4o-image", image_urls=[str(cat)], mask_url=str(mask)
    )
    assert body(sandbox)["mask_url"].startswith(sandbox.url)
    assert any(note.startswith("mask_url: uploaded mask.png") for note in task["notes"])
    assert uploads(sandbox) == 2


async def test_files_deep_inside_options_are_uploaded(client: Client, sandbox: Sandbox, cat: Path, dog: Path) -> None:
    pictures = {"frontal_image": str(cat), "refer_images": [{"image_url": f"file://{quote(str(dog))}"}]}
    element = {"element_name": "Cat", "element_description": "A cat", "reference_type": "image_refer"}
    options = {"model_params": {**element, "element_image_list": pictures}}
    task = await ok(client, "generate_video", model="kling-custom-element", options=options)
    sent = body(sandbox)["model_params"]["element_image_list"]
    assert sent["frontal_image"].startswith(sandbox.url)
    assert sent["refer_images"][0]["image_url"].startswith(sandbox.url)
    assert uploads(sandbox) == 2
    (note,) = [note for note in task["notes"] if "refer_images[0].image_url: uploaded" in note]
    assert dog.name in note


@pytest.mark.parametrize("form", ["{path}", "file://{quoted}", "file://localhost{quoted}", "FILE://{quoted}"])
async def test_a_path_may_be_written_as_a_file_link(client: Client, sandbox: Sandbox, dog: Path, form: str) -> None:
    link = form.format(path=dog, quoted=quote(str(dog)))
    await ok(client, "generate_image", **CALL, image_urls=[link])
    assert uploads(sandbox) == 1


async def test_a_file_named_twice_is_uploaded_once(client: Client, sandbox: Sandbox, cat: Path) -> None:
    (cat.parent / "link.png").symlink_to(cat)
    await ok(client, "generate_image", **CALL, image_urls=[str(cat), str(cat), str(cat.parent / "link.png")])
    assert uploads(sandbox) == 1
    assert len(set(body(sandbox)["image_urls"])) == 1


async def test_files_of_the_same_name_do_not_overwrite_each_other(client: Client, sandbox: Sandbox, cat: Path) -> None:
    (cat.parent / "other").mkdir()
    other = cat.parent / "other" / cat.name
    other.write_bytes(png(256, 512))
    await ok(client, "generate_image", **CALL, image_urls=[str(cat), str(other)])
    assert len(set(body(sandbox)["image_urls"])) == 2
    assert len(await stored(client)) == 2


async def test_text_for_people_is_never_taken_for_a_path(client: Client, sandbox: Sandbox, cat: Path) -> None:
    await ok(client, "generate_image", model="gpt-image-2", prompt=str(cat))
    assert uploads(sandbox) == 0
    assert body(sandbox)["prompt"] == str(cat)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../etc/passwd",
        "file:///etc/passwd",
        "file://other-host/a.png",
        "file://[broken/a.png",
        "~/.ssh/id_rsa",
        "/proc/self/environ",
        "missing.png",
        "not a link at all",
        "{folder}",
        "{folder}/secret.png",
        "{folder}/missing.png",
        "{folder}/out.png",
    ],
)
@pytest.mark.parametrize("where", ["image_urls", "mask_url", "options"])
async def test_what_may_not_be_read_is_refused_and_spends_nothing(
    client: Client, sandbox: Sandbox, settings: Settings, cat: Path, path: str, where: str
) -> None:
    folder = settings.upload_dirs[0]
    (folder / "secret.png").write_text("-----BEGIN PRIVATE KEY-----", encoding="utf-8")
    (folder / "out.png").symlink_to("/etc/passwd")
    bad = path.format(folder=folder)
    more: dict[str, Any] = {
        "image_urls": {"image_urls": [str(cat), bad]},
        "mask_url": {"image_urls": [str(cat)], "mask_url": bad},
        "options": {"options": {"image_urls": [str(cat), bad]}},
    }[where]
    text = await refused(client, "generate_image", **CALL, **more)
    assert text.startswith("mask_url: " if where == "mask_url" else "image_urls[1]: ")
    assert "[file_refused]" in text
    assert "Charged: no." in text
    assert sandbox.requests() == []


async def test_a_call_that_the_registry_refuses_uploads_nothing(client: Client, sandbox: Sandbox, cat: Path) -> None:
    text = await refused(client, "generate_image", **CALL, size="no such size", image_urls=[str(cat)])
    assert "Charged: no." in text
    assert "local.invalid" not in text
    await refused(client, "generate_image", **CALL, image_urls=[str(cat), "http://10.0.0.1/a.png"])
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "envelope", "code": 40003}, "delete_file"),
        ({"kind": "status", "status": 500}, "HTTP 500"),
        ({"kind": "drop_after"}, "list_files"),
        ({"kind": "garbage"}, "JSON"),
    ],
)
async def test_an_upload_that_fails_spends_nothing_and_names_the_others(
    client: Client, sandbox: Sandbox, cat: Path, dog: Path, fault: dict[str, Any], said: str
) -> None:
    sandbox.fault("upload_stream", **fault)
    text = await refused(client, "generate_image", **CALL, image_urls=[str(cat), str(dog)])
    assert "could not be uploaded" in text
    assert "Charged: no." in text
    assert said in text
    assert sandbox.paid() == 0
    assert sandbox.requests("/generations") == []
    ids = await stored(client)
    assert any(f"delete_file {file_id}" in text for file_id in ids.values())


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 402}, {"kind": "drop_after"}, {"kind": "no_id"}])
async def test_a_submit_that_fails_names_what_was_uploaded_for_it(
    client: Client, sandbox: Sandbox, cat: Path, fault: dict[str, Any]
) -> None:
    sandbox.fault("images", **fault)
    text = await refused(client, "generate_image", **CALL, image_urls=[str(cat)])
    assert f"Charged: {'no' if fault['kind'] == 'status' else 'unknown'}." in text
    ((_, file_id),) = (await stored(client)).items()
    assert f"delete_file {file_id}" in text


async def test_a_pause_of_the_gateway_names_what_was_uploaded_too(client: Client, sandbox: Sandbox, cat: Path) -> None:
    sandbox.fault("images", "status", status=429, retry_after=120)
    await refused(client, "generate_image", **CALL)
    text = await refused(client, "generate_image", **CALL, image_urls=[str(cat)])
    assert "[rate_limited]" in text
    assert "Charged: no." in text
    ((_, file_id),) = (await stored(client)).items()
    assert f"delete_file {file_id}" in text


async def test_the_same_request_with_a_file_is_not_paid_twice_after_a_cancel(
    client: Client, sandbox: Sandbox, app: App, cat: Path
) -> None:
    sandbox.fault("images", "slow", delay=0.3)
    arguments = {**CALL, "image_urls": [str(cat)]}
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "generate_image", arguments)
        with anyio.fail_after(60):
            while not sandbox.requests("/generations"):
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    await app.purchases.drain(5)
    again = await ok(client, "generate_image", **arguments)
    assert any("identical request" in note for note in again["notes"])
    assert [task["id"] for task in sandbox.ledger()["tasks"]] == [again["task_id"]]
    fresh = await ok(client, "generate_image", **arguments)
    assert fresh["task_id"] != again["task_id"]
    assert sandbox.paid() == 2


async def test_a_changed_file_makes_another_request(client: Client, sandbox: Sandbox, app: App, cat: Path) -> None:
    sandbox.fault("images", "slow", delay=0.3)
    arguments = {**CALL, "image_urls": [str(cat)]}
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "generate_image", arguments)
        with anyio.fail_after(60):
            while not sandbox.requests("/generations"):
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    await app.purchases.drain(5)
    before = cat.stat()
    cat.write_bytes(png(512, 512).replace(b"IDAT", b"IDAT", 1))
    os.utime(cat, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000))
    await ok(client, "generate_image", **arguments)
    assert sandbox.paid() == 2


async def test_all_uploads_of_a_call_share_its_time(
    client: Client, sandbox: Sandbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the real clock: seven files, three at a time, each hanging."""
    monkeypatch.setattr("evolink_mcp.tools.generation.SUBMIT_SECONDS", 20.5)
    sandbox.fault("upload_stream", "hang", seconds=10, times=0)
    paths: list[str] = []
    for number in range(7):
        path = settings.upload_dirs[0] / f"{number}.png"
        path.write_bytes(png())
        paths.append(str(path))
    with anyio.fail_after(9):
        text = await refused(client, "generate_image", **CALL, image_urls=paths)
    assert "Charged: no." in text
    assert "upload_file, which has more time" in text


async def test_another_machines_files_are_refused_with_the_reason(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox, cat: Path
) -> None:
    async with connect(App(settings, clock=clock, local_files=False)) as client:
        text = await refused(client, "generate_image", **CALL, image_urls=[str(cat)])
        assert "cannot be read by a remote server" in text
        assert "Charged: no." in text
        assert "base64_data" in text
        text = await refused(client, "upload_file", file_path=str(cat))
        assert "remote" in text
        assert sandbox.requests() == []
        data = base64.b64encode(cat.read_bytes()).decode()
        assert await ok(client, "upload_file", base64_data=data)


async def test_the_note_beside_the_result_names_the_local_file(client: Client, settings: Settings, cat: Path) -> None:
    await ok(client, "generate_image", **CALL, image_urls=[str(cat)], wait_seconds=20)
    assert settings.output_dir is not None
    (note,) = settings.output_dir.glob("*.json")
    assert str(cat) in note.read_text(encoding="utf-8")
    assert "local.invalid" not in note.read_text(encoding="utf-8")
