"""A bucket that refuses, hangs, breaks off or is not there: told in our words, and no call waits for it or fails."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable

import anyio
import pytest

from evolink_mcp.arguments import parser
from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.jobs.seal import LocalSeal
from evolink_mcp.media import bucket_shelf, buckets
from evolink_mcp.media.bucket_object import OpenObject
from evolink_mcp.media.bucket_shelf import BucketShelf
from evolink_mcp.media.downloads import NotSaved
from evolink_mcp.media.fetch import Fetcher
from evolink_mcp.media.keeper import Keeper
from evolink_mcp.media.shelf import Away, ShelfError
from evolink_mcp.settings.places import Bucket, read_bucket
from tests.contract.keeping import ALICE, ROOM, keep
from tests.contract.servers import Host, answer, serving

KEY, SECRET_KEY = "AKIAEXAMPLE0123456789", "a-secret-of-the-bucket-0123456789"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Host | str], BucketShelf]:
    """Makes a shelf in a bucket at some host."""

    def make(host: Host | str) -> BucketShelf:
        monkeypatch.setenv("AWS_ENDPOINT_URL", host if isinstance(host, str) else host.url(path=""))
        return BucketShelf(Bucket("results", "kept"), ROOM)

    return make


def new_keeper(shelf: BucketShelf) -> Keeper:
    return Keeper(Fetcher(UrlGuard(allow_loopback=True)), shelf, LocalSeal())


def problem(code: str, status: str) -> bytes:
    """An answer of S3, with what it says of whoever asked."""
    body = f"<Error><Code>{code}</Code><Message>m</Message><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>"
    return answer(body.encode(), "content-type: application/xml", status=status)


async def prepare(shelf: BucketShelf) -> None:
    """In a thread: it blocks, and the host is of this loop."""
    await anyio.to_thread.run_sync(shelf.prepare)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (problem("InvalidAccessKeyId", "403 Forbidden"), "refuses access (InvalidAccessKeyId)"),
        (problem("SignatureDoesNotMatch", "403 Forbidden"), "refuses access (SignatureDoesNotMatch)"),
        (problem("NoSuchBucket", "404 Not Found"), "there is no such bucket"),
        (problem("NotImplemented", "501 Not Implemented"), "the bucket answered NotImplemented"),
        (answer(b"<html>a portal</html>", status="401 Unauthorized"), "refuses access (401)"),
    ],
)
async def test_a_bucket_that_refuses_is_told_at_start_without_what_it_said(
    at: Callable[[Host | str], BucketShelf], said: bytes, reason: str
) -> None:
    async with serving(said) as host:
        with pytest.raises(ShelfError) as error:
            await prepare(at(host))
    assert not isinstance(error.value, Away)
    assert reason in str(error.value)
    assert KEY not in str(error.value)
    assert str(host.port) not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_an_endpoint_that_is_no_address_is_told_at_start(at: Callable[[Host | str], BucketShelf]) -> None:
    for endpoint in ("http://127.0.0.1:99999", "ftp://127.0.0.1", "not an address"):
        with pytest.raises(ShelfError):
            at(endpoint).prepare()


async def test_a_bucket_that_is_away_at_start_may_come_back(at: Callable[[Host | str], BucketShelf]) -> None:
    async with serving() as host:
        pass
    for shelf in (at(host), at("https://127.0.0.1:1")):
        with pytest.raises(Away, match="does not answer"):
            await prepare(shelf)
    async with serving(problem("SlowDown", "503 Slow Down")) as host:
        with pytest.raises(Away, match="SlowDown"):
            await prepare(at(host))


async def test_a_bucket_that_hangs_holds_a_call_up_once_and_then_nobody(
    at: Callable[[Host | str], BucketShelf], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked, opened = list[str](), anyio.Event()

    async def hang(path: str) -> bytes:
        asked.append(path)
        await opened.wait()
        return answer()

    monkeypatch.setattr(bucket_shelf, "ANSWER_SECONDS", 0.6)
    async with serving(hang) as host, serving() as results:
        keeper = new_keeper(at(host))
        with caplog.at_level(logging.WARNING):
            for _ in range(5):
                outcome = await keep(keeper, results.url())
                assert isinstance(outcome, NotSaved)
                assert "the bucket does not answer" in str(outcome)
                assert await keeper.find(ALICE, ["task-1"]) == {}
        assert len(asked) == 1
        assert keeper.failures == {"place": 5}
        assert KEY not in caplog.text
        assert SECRET_KEY not in caplog.text
        monkeypatch.setattr(buckets, "AWAY_SECONDS", 0.0)
        keeper = new_keeper(at(host))
        for _ in range(2):
            await keep(keeper, results.url())
        assert len(asked) == 3
        opened.set()


async def test_a_bucket_that_breaks_off_gives_less_and_says_so(at: Callable[[Host | str], BucketShelf]) -> None:
    facts = ("last-modified: Sat, 28 Nov 2099 00:00:00 GMT", 'etag: "1"')

    def say(path: str) -> bytes:
        return answer(b"x" * 100, *facts, "content-range: bytes 0-999/1000", status="206 Partial Content", length=1000)

    async with serving(say) as host:
        shelf = at(host)
        copy = ROOM.copy(ALICE, "task-1-1.png", 1000, 0.0)
        with pytest.raises(ShelfError):
            _ = [piece async for piece in OpenObject(shelf.store, copy, '"1"').read(0, 1000)]


def test_the_extra_that_is_missing_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(_: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", none)
    with pytest.raises(SystemExit):
        parser(argv := ["http", "--keep", "s3://results/kept"]).parse_args(argv)
    assert "pip install 'evolink-mcp[s3]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        f"s3://user:{SECRET_KEY}@results/kept",
        "s3://results/../x",
        "s3://results//x",
        "s3://results/a b",
        "s3://results/ä",
        "s3://results?x=1",
        "s3://Results",
        "s3://",
        "s3:results",
        "S3://results",
        "s3://results/" + "x" * 200,
        "s3://results/x\n",
    ],
)
def test_what_names_no_place_in_a_bucket_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="must be s3://BUCKET/PREFIX") as error:
        read_bucket(text)
    assert SECRET_KEY not in str(error.value)


def test_a_place_in_a_bucket_is_read_with_or_without_slashes() -> None:
    assert read_bucket("s3://results") == read_bucket("s3://results/") == Bucket("results")
    assert read_bucket("s3://my.results-1/team_a/kept/") == Bucket("my.results-1", "team_a/kept")
    assert str(Bucket("results", "kept")) == "s3://results/kept"


@pytest.mark.parametrize(
    "start",
    ["cli.main(['http'])", "workers._work(Settings(), HttpOptions(json_lines=False), here, multiprocessing.Pipe()[1])"],
)
def test_credentials_of_the_bucket_are_hidden_in_logs(start: str) -> None:
    """Of a server, and of each of its workers: whoever logs them when it runs."""
    program = f"""
import logging, multiprocessing, os, socket
import anyio
from evolink_mcp import cli
from evolink_mcp.settings import Settings
from evolink_mcp.transports.http import workers
from evolink_mcp.transports.http.options import HttpOptions

def run(*_):
    names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
    logging.getLogger("evolink_mcp").warning("it runs with %s", " ".join(os.environ[name] for name in names))
    return 0

anyio.run = run
here = socket.socket()
{start}
"""
    environ = {**os.environ, "AWS_SESSION_TOKEN": "a-token-of-a-session-0123456789"}
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environ)
    assert "it runs with" in done.stderr
    for secret in (KEY, SECRET_KEY, environ["AWS_SESSION_TOKEN"]):
        assert secret not in done.stderr
