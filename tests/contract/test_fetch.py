"""Following links over real sockets: where a connection may go, what it carries, what is taken of an answer.

Names resolve as each test says. Loopback is taken for public where a test has to connect: what is judged is
the address, and no test may leave this machine.
"""

from __future__ import annotations

import anyio
import httpx2
import pytest
import trustme

from evolink_mcp.guard import addresses, urls
from evolink_mcp.guard.addresses import Address
from evolink_mcp.media import fetch
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.fetching import fetched, refused
from tests.contract.servers import PNG, Host, answer, context_of, moved, names, serving, trusting


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets 127.0.0.x pass for public addresses: the names of a test lead to hosts of its own."""
    real = addresses.is_public

    def is_public(address: Address) -> bool:
        return address.is_loopback or real(address)

    monkeypatch.setattr(urls, "is_public", is_public)


async def test_a_link_is_fetched_without_credentials_or_cookies(host: Host) -> None:
    assert await fetched(host.url(path="/a.png?sig=1")) == PNG
    ((line, headers),) = host.asked
    assert line == "GET /a.png?sig=1 HTTP/1.1"
    assert set(headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert headers["host"] == f"127.0.0.1:{host.port}"


async def test_localhost_is_fetched_and_named_as_it_was_written(host: Host) -> None:
    resolve = names({"localhost": [["127.0.0.1"]]})
    assert await fetched(host.url("localhost"), resolve) == PNG
    assert host.asked[0][1]["host"] == f"localhost:{host.port}"


async def test_an_ipv6_address_is_fetched() -> None:
    async with serving(at="::1") as host:
        assert await fetched(host.url("[::1]")) == PNG


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
async def test_redirects_among_allowed_hosts_are_followed_without_cookies(host: Host, status: str) -> None:
    first = answer(b"", f"location: {host.url(path='/b.png')}", "set-cookie: a=1; path=/", status=status)
    async with serving(first) as start:
        assert await fetched(start.url()) == PNG
    assert host.paths == ["/b.png"]
    assert not {"cookie", "referer", "authorization"} & set(host.asked[0][1])


async def test_a_relative_redirect_stays_at_its_host() -> None:
    async with serving(lambda path: answer() if path == "/deep/b.png" else moved("b.png")) as host:
        assert await fetched(host.url(path="/deep/a")) == PNG
        assert host.paths == ["/deep/a", "/deep/b.png"]


async def test_a_host_that_never_begins_its_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "HEAD_SECONDS", 0.05)

    async def drip(_: str) -> bytes:
        await anyio.sleep_forever()
        raise AssertionError

    async with serving(drip) as slow:
        assert "began no answer" in await refused(slow.url())


async def test_redirects_end() -> None:
    async with serving(moved("/again")) as host:
        assert "redirected more than 5 times" in await refused(host.url())
        assert host.connected == fetch.MAX_REDIRECTS + 1


async def test_a_redirect_without_a_place_ends() -> None:
    async with serving(answer(b"", status="302 Found")) as host:
        assert "redirected more than" in await refused(host.url())


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://10.0.0.1:{port}/", "https"),
        ("https://10.0.0.1:{port}/", "private network"),
        ("https://[::ffff:127.0.0.1]:{port}/", "not written plainly"),
        ("https://0x0a000001:{port}/", "not written plainly"),
        ("http://example.com:{port}/", "must be https"),
        ("https://inner.example.com:{port}/", "leads into a private network"),
        ("https://both.example.com:{port}/", "leads into a private network"),
        ("https://this.example.com:{port}/", "leads into a private network"),
        ("//inner.example.com:{port}/", "https"),
        ("https://nowhere.example.com:{port}/", "no address"),
        ("https://user:pw@example.com:{port}/", "user name or password"),
        ("file:///etc/passwd", "https://"),
        ("ftp://example.com/", "https://"),
        ("https://[broken", "not a host name"),
        ("https://example.com:99999/", ""),
    ],
)
async def test_a_redirect_out_of_what_is_allowed_is_never_followed(host: Host, location: str, said: str) -> None:
    resolve = names(
        {
            "inner.example.com": [["10.0.0.1"]],
            "both.example.com": [["8.8.8.8", "127.0.0.1"]],
            "this.example.com": [["127.0.0.1"]],
            "example.com": [["127.0.0.1"]],
        }
    )
    async with serving(moved(location.format(port=host.port))) as start:
        assert said in await refused(start.url(), resolve)
        assert start.connected == 1
    assert host.connected == 0


@pytest.mark.parametrize("url", ["https://127.0.0.1:{port}/", "http://localhost:{port}/", "https://a.example:{port}/"])
async def test_this_machine_is_not_asked_where_the_gateway_is_elsewhere(host: Host, url: str) -> None:
    await refused(url.format(port=host.port), names({"a.example": [["127.0.0.1"]]}), loopback=False)
    assert host.connected == 0


@pytest.mark.usefixtures("loopback_is_public")
async def test_a_name_cannot_change_its_mind_between_judgement_and_connection() -> None:
    """The first answer is judged and connected to; a second, which is private, is not even asked for."""
    asked: list[str] = []
    authority = trustme.CA()
    async with serving(tls=context_of(authority, "a.example")) as host:
        resolve = names({"a.example": [["127.0.0.1"], ["10.0.0.1"]]}, asked)
        with trusting(authority):
            assert await fetched(host.url("a.example", scheme="https"), resolve) == PNG
            assert asked == ["a.example"]
            assert "leads into a private network" in await refused(host.url("a.example", scheme="https"), resolve)
        assert host.connected == 1


@pytest.mark.usefixtures("loopback_is_public")
async def test_every_hop_is_judged_anew() -> None:
    asked: list[str] = []
    authority = trustme.CA()
    async with serving(moved("/again"), tls=context_of(authority, "a.example")) as host:
        resolve = names({"a.example": [["127.0.0.1"], ["127.0.0.1"], ["10.0.0.1"]]}, asked)
        with trusting(authority):
            await refused(host.url("a.example", scheme="https"), resolve)
        assert (len(asked), host.connected) == (3, 2)


@pytest.mark.parametrize("found", [["127.0.0.9", "::1", "127.0.0.1"], ["127.0.0.9", "127.0.0.1", "::1"]])
async def test_the_next_address_is_tried_where_one_does_not_answer(host: Host, found: list[str]) -> None:
    resolve = names({"localhost": [found]})
    assert await fetched(host.url("localhost"), resolve) == PNG
    assert host.asked[0][1]["host"] == f"localhost:{host.port}"


async def test_where_no_address_answers_it_is_said(host: Host) -> None:
    resolve = names({"localhost": [["127.0.0.9", "127.0.0.8"]]})
    assert "could not be read" in await refused(host.url("localhost"), resolve)


@pytest.mark.usefixtures("loopback_is_public")
@pytest.mark.parametrize(
    ("certified", "asked", "passes"),
    [
        ("a.example", "a.example", True),
        ("a.example", "A.Example.", True),
        ("*.a.example", "b.a.example", True),
        ("b.example", "a.example", False),
        ("127.0.0.1", "a.example", False),  # the address that is connected to proves nothing
        ("127.0.0.1", "127.0.0.1", True),
        ("a.example", "127.0.0.1", False),
    ],
)
async def test_the_certificate_must_show_the_name_that_was_asked_for(certified: str, asked: str, passes: bool) -> None:
    authority = trustme.CA()
    resolve = names({"a.example": [["127.0.0.1"]], "b.a.example": [["127.0.0.1"]]})
    async with serving(tls=context_of(authority, certified)) as host:
        link = host.url(asked, scheme="https")
        with trusting(authority):
            if passes:
                assert await fetched(link, resolve) == PNG
            else:
                assert "certificate" in (await refused(link, resolve)).lower()
        assert len(host.asked) == int(passes)


@pytest.mark.usefixtures("loopback_is_public")
async def test_a_certificate_of_nobody_known_is_refused() -> None:
    async with serving(tls=context_of(trustme.CA(), "a.example")) as host:
        with trusting(trustme.CA()):
            link = host.url("a.example", scheme="https")
            assert "certificate" in (await refused(link, names({"a.example": [["127.0.0.1"]]}))).lower()
        assert host.asked == []


async def test_the_environments_proxy_is_used_for_public_hosts_and_never_for_this_machine(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = names({"a.example": [["8.8.8.8"]], "inner.example": [["10.0.0.1"]], "localhost": [["127.0.0.1"]]})
    async with serving(answer(b"", status="403 Forbidden")) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(path=""))
        for here in ("127.0.0.1", "localhost", "LOCALHOST."):
            assert await fetched(host.url(here), resolve) == PNG
        assert proxy.connected == 0
        await refused("https://a.example/secret", resolve)
        await refused("https://only-the-proxy-knows.example/", resolve)
        assert [line for line, _ in proxy.asked] == [
            "CONNECT a.example:443 HTTP/1.1",
            "CONNECT only-the-proxy-knows.example:443 HTTP/1.1",
        ]
        assert "private network" in await refused("https://inner.example/", resolve)
        assert "private network" in await refused("https://10.0.0.1/", resolve)
        assert proxy.connected == 2
        monkeypatch.setenv("no_proxy", "a.example")
        monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", unreachable)
        assert "no route to 8.8.8.8" in await refused("https://a.example/", resolve)
        assert proxy.connected == 2


async def unreachable(_: object, request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError(f"no route to {request.url.host}")


@pytest.mark.parametrize("proxy", ["socks4://127.0.0.1:9", "nonsense://x", "http://127.0.0.1:99999"])
async def test_a_proxy_that_cannot_be_used_is_a_reason_and_no_crash(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    assert "proxy" in await refused("https://a.example/", names({"a.example": [["8.8.8.8"]]}))


@pytest.mark.usefixtures("loopback_is_public")
async def test_a_fake_address_is_connected_to_only_where_the_user_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", unreachable)
    resolve = names({"a.example": [["198.18.0.7"]]})
    assert "EVOLINK_FAKE_IP" in await refused("https://a.example/", resolve)
    assert "no route to 198.18.0.7" in await refused("https://a.example/", resolve, fake=True)


async def test_the_environments_proxy_is_asked_for_names_behind_fake_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(answer(b"", status="403 Forbidden")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url(path=""))
        await refused("https://a.example/", names({"a.example": [["198.18.0.7"]]}))
        assert [line for line, _ in proxy.asked] == ["CONNECT a.example:443 HTTP/1.1"]


@pytest.mark.parametrize("allowed", [False, True])
def test_the_setting_decides_on_fake_addresses(allowed: bool) -> None:
    assert App(Settings(fake_ip=allowed)).urls.allow_fake is allowed
