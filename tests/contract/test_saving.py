"""Results on the user's disk: whole, once, under safe names, beside what was asked for. Through a saver of our own."""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio
import pytest

from evolink_mcp.gateway import wire
from evolink_mcp.media import downloads
from evolink_mcp.media.downloads import NotSaved, Saver
from evolink_mcp.media.folder import PARTIAL_SUFFIX
from evolink_mcp.media.names import task_stem
from evolink_mcp.media.sidecars import write_beside
from tests.contract.saving import DAY, STEM, Gate, listed, new_saver, task
from tests.contract.servers import PNG, Host, answer, serving


async def test_results_are_named_by_what_does_not_change(saver: Saver) -> None:
    async with serving(lambda path: answer(b"\xff\xd8\xff\xe0" + PNG if path == "/2" else PNG)) as host:
        kept = await saver.save(task(host.url(path="/1"), host.url(path="/2")), seconds=5)
    assert kept == [saver.folder / f"{STEM}-1.png", saver.folder / f"{STEM}-2.jpg"]  # by content, not by link
    assert (saver.folder / f"{STEM}-1.png").read_bytes() == PNG
    assert (saver.folder / f"{STEM}-1.png").stat().st_mode & 0o777 == 0o644
    assert listed(saver.folder) == [f"{STEM}-1.png", f"{STEM}-2.jpg"]


@pytest.mark.parametrize(
    ("made", "stem"),
    [
        (wire.Task(id="../../task é", status="completed", model="a/b c", created=DAY), "20250906-a_b_c-.._.._task_-2"),
        (wire.Task(id="t", status="completed"), "undated-model-t-2"),
        (wire.Task(id="x" * 300, status="completed", model="m" * 300), f"undated-{'m' * 40}-{'x' * 60}-2"),
        (wire.Task(id="a\\b:c\0d\ne", status="completed", model="..\\..\\"), "undated-.._.._-a_b_c_d_e-2"),
    ],
)
def test_names_of_saved_files_are_safe(made: wire.Task, stem: str) -> None:
    assert f"{task_stem(made)}-2" == stem
    assert len(f"{task_stem(made)}-2") < 150


async def test_a_hostile_task_is_saved_inside_the_folder(saver: Saver, tmp_path: Path) -> None:
    async with serving() as host:
        (kept,) = await saver.save(task(host.url(), id="../../../x", model="/../.."), seconds=5)
    assert isinstance(kept, Path)
    assert kept.resolve().parent == saver.folder.resolve()
    assert listed(tmp_path) == ["out"]


async def test_a_second_look_and_a_later_process_find_the_first_file(saver: Saver) -> None:
    async with serving() as host:
        made = task(host.url())
        (first,) = await saver.save(made, seconds=5)
        assert await saver.save(made, seconds=5) == [first]
        assert await new_saver(saver.folder).save(made, seconds=5) == [first]
        assert host.connected == 1


async def test_a_task_whose_id_ends_like_anothers_gets_its_own_files(saver: Saver) -> None:
    one, other = "task-unified-1757156493-00000001", "task-unified-1757156494-00000001"
    async with serving(lambda path: answer(PNG + path.encode())) as host:
        (first,) = await saver.save(made := task(host.url(path="/1"), id=one), seconds=5)
        assert isinstance(first, Path)
        write_beside(saver.folder, made, [first], {})
        kept = await saver.save(task(host.url(path="/2"), host.url(path="/3"), id=other), seconds=5)
    assert [path.read_bytes()[-2:] for path in (first, *kept) if isinstance(path, Path)] == [b"/1", b"/2", b"/3"]
    assert [path.name for path in kept if isinstance(path, Path)] == [
        f"20250906-some-model-{other}-{number}.png" for number in (1, 2)
    ]


async def test_several_results_come_side_by_side_and_four_at_most(saver: Saver) -> None:
    gate = Gate()
    async with serving(gate) as host, anyio.create_task_group() as group:
        made = task(*(host.url(path=f"/{number}") for number in range(6)))
        outcome: list[downloads.SaveOutcome] = []

        async def keep() -> None:
            outcome.extend(await saver.save(made, seconds=10))

        group.start_soon(keep)
        await gate.reached(downloads.MAX_DOWNLOADS)
        await anyio.sleep(0.05)
        assert gate.waiting == downloads.MAX_DOWNLOADS
        gate.opened.set()
        with anyio.fail_after(60):
            while len(outcome) < 6:
                await anyio.sleep(0.005)
        assert outcome == [saver.folder / f"{STEM}-{number}.png" for number in range(1, 7)]


async def test_a_failure_stands_beside_the_others_success(saver: Saver) -> None:
    async with serving(lambda path: answer() if path != "/2" else answer(b"", status="404 Not Found")) as host:
        kept = await saver.save(task(*(host.url(path=f"/{number}") for number in (1, 2, 3))), seconds=5)
    assert [type(each) for each in kept] == [type(saver.folder), NotSaved, type(saver.folder)]
    assert "HTTP 404" in str(kept[1])
    assert listed(saver.folder) == [f"{STEM}-1.png", f"{STEM}-3.png"]


async def test_a_download_that_outlives_its_call_is_joined_by_the_next(saver: Saver) -> None:
    gate = Gate()
    async with serving(gate) as host:
        made = task(host.url())
        (outcome,) = await saver.save(made, seconds=0.05)
        assert "still being saved" in str(outcome)
        assert "check_task again" in str(outcome)
        await gate.reached(1)
        assert [name for name in listed(saver.folder) if not name.startswith(".")] == []
        gate.opened.set()
        assert await saver.save(made, seconds=5) == [saver.folder / f"{STEM}-1.png"]
        assert host.connected == 1


async def test_a_call_that_is_cancelled_does_not_stop_the_download(saver: Saver) -> None:
    gate = Gate()
    async with serving(gate) as host:
        made = task(host.url())
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: saver.save(made, seconds=10))
            await gate.reached(1)
            group.cancel_scope.cancel()
        gate.opened.set()
        assert await saver.save(made, seconds=5) == [saver.folder / f"{STEM}-1.png"]
        assert host.connected == 1


async def test_a_saver_that_closes_leaves_nothing_half_done(saver: Saver) -> None:
    gate = Gate()
    async with serving(gate) as host:
        (outcome,) = await saver.save(task(host.url()), seconds=0.05)
        await gate.reached(1)
        assert len(listed(saver.folder)) == 1
        await saver.aclose()
    assert isinstance(outcome, NotSaved)
    assert listed(saver.folder) == []


async def test_what_killed_processes_left_is_swept_and_the_rest_kept(saver: Saver) -> None:
    saver.folder.mkdir()
    long_ago = time.time() - downloads.MAX_PARTIAL_AGE_SECONDS - 60
    stale, fresh = (f".{STEM}-{name}{PARTIAL_SUFFIX}" for name in ("0000dead", "0000beef"))
    for name in (stale, fresh, ".theirs.part", "visible" + PARTIAL_SUFFIX):
        (saver.folder / name).touch()
        if name != fresh:
            os.utime(saver.folder / name, (long_ago, long_ago))
    async with serving() as host:
        await saver.save(task(host.url()), seconds=5)
    assert listed(saver.folder) == sorted([fresh, ".theirs.part", "visible" + PARTIAL_SUFFIX, f"{STEM}-1.png"])


async def test_what_is_no_picture_film_or_sound_is_not_saved(saver: Saver) -> None:
    for body in (b"<html>", b"", b"MZ\x90\0", b"\x7fELF"):
        async with serving(answer(body)) as host:
            (outcome,) = await saver.save(task(host.url()), seconds=5)
            assert "no image" in str(outcome)
    assert listed(saver.folder) == []


async def test_private_links_and_huge_files_are_not_fetched(saver: Saver, monkeypatch: pytest.MonkeyPatch) -> None:
    (outcome,) = await saver.save(task("https://10.0.0.1/a.png"), seconds=5)
    assert "private network" in str(outcome)
    monkeypatch.setattr(downloads, "MAX_RESULT_BYTES", 10)
    async with serving() as host:
        (outcome,) = await saver.save(task(host.url()), seconds=5)
    assert "larger than 10" in str(outcome)
    assert listed(saver.folder) == []


async def test_a_host_is_shown_nothing_but_the_link(saver: Saver) -> None:
    async with serving() as host:
        await saver.save(task(host.url(path="/a?sig=1")), seconds=5)
        assert_bare(host)


def assert_bare(host: Host) -> None:
    ((line, headers),) = host.asked
    assert line == "GET /a?sig=1 HTTP/1.1"
    assert set(headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}
