"""What the doctor says of the bucket where results are kept."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
import pytest
from obstore.store import MemoryStore

from evolink_mcp.media.buckets import pages_of
from evolink_mcp.settings.places import Bucket
from tests.contract.servers import answer, serving
from tests.contract.test_bucket_trouble import KEY, SECRET_KEY, problem
from tests.support import Sandbox
from tests.unit.doctor.runs import Run


@pytest.fixture(autouse=True)
def bucket(ready: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "EVOLINK_KEEP_DIR": "s3://results/kept",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)


def bucket_check(run: Run) -> dict[str, Any]:
    (check,) = [each for each in run.report["checks"] if each["name"] == "bucket"]
    return check


def test_a_bucket_that_works_is_told_and_nothing_is_left_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = MemoryStore()

    def opened(_: Bucket) -> MemoryStore:
        return store

    monkeypatch.setattr("evolink_mcp.media.bucket_shelf.open_bucket", opened)
    run = Run(capsys)
    assert (bucket_check(run)["level"], run.code) == ("ok", 0)
    assert "can be listed, written, read" in bucket_check(run)["found"]
    assert [meta for page in pages_of(store, None) for meta in page] == []


@pytest.mark.parametrize(
    ("said", "words", "advice"),
    [
        (problem("InvalidAccessKeyId", "403 Forbidden"), "refuses access", "AWS_SECRET_ACCESS_KEY"),
        (problem("NoSuchBucket", "404 Not Found"), "no such bucket", "Make the bucket"),
        (None, "does not answer", "Check the network"),
    ],
)
async def test_a_bucket_that_does_not_work_is_told_with_what_to_do(
    said: bytes | None, words: str, advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(said or answer()) as host:
        if said:
            monkeypatch.setenv("AWS_ENDPOINT_URL", host.url(path=""))
        run = await anyio.to_thread.run_sync(Run, capsys)
    check = bucket_check(run)
    assert (check["level"], run.code) == ("wrong", 1)
    assert words in check["found"]
    assert advice in check["next_step"]
    assert SECRET_KEY not in run.text
