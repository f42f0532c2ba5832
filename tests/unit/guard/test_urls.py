"""Which links may be used: tables of hostile and of good ones, and what their names may resolve to."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.guard.addresses import Address, is_public
from evolink_mcp.guard.names import Resolver
from evolink_mcp.guard.urls import FakeAddress, Unresolved, UrlGuard, bare_link, is_linklike, system_resolver
from tests.links import CREDENTIALS, GOOD, NO_LINKS, ODD, PRIVATE, THIS_MACHINE


@pytest.mark.parametrize("url", GOOD)
def test_public_https_links_pass(url: str) -> None:
    assert UrlGuard().check_spelling(url, name="image_urls").isascii()


@pytest.mark.parametrize("loopback", [False, True])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        *[(url, "") for url in NO_LINKS],
        *[(url, "user name or password") for url in CREDENTIALS],
        *[(url, "private network") for url in PRIVATE],
        *[(url, "not written plainly") for url in ODD],
    ],
)
def test_hostile_links_are_refused(url: str, said: str, loopback: bool) -> None:
    with pytest.raises(Refused) as raised:
        UrlGuard(allow_loopback=loopback).check_spelling(url, name="image_urls")
    text = raised.value.render(paid=True)
    assert text.startswith("image_urls: ")
    assert said in text
    assert "Charged: no." in text
    assert len(text) < 400


@pytest.mark.parametrize("url", THIS_MACHINE)
def test_links_to_this_machine_are_refused(url: str) -> None:
    with pytest.raises(Refused, match="this machine"):
        UrlGuard().check_spelling(url, name="x")


@pytest.mark.parametrize("url", THIS_MACHINE)
def test_loopback_passes_where_the_gateway_is_there(url: str) -> None:
    UrlGuard(allow_loopback=True).check_spelling(url, name="x")


def answering(*addresses: str) -> Resolver:
    """A resolver that finds the same addresses for every name."""

    async def resolve(host: str, caller: str) -> list[Address]:
        return [ip_address(address) for address in addresses]

    return resolve


NOWHERE = [
    ["10.0.0.1"],
    ["100.64.0.1"],
    ["127.0.0.1"],
    ["169.254.169.254"],
    ["172.16.0.1"],
    ["0.0.0.0"],
    ["224.0.0.1"],
    ["::1"],
    ["::"],
    ["fd00::1"],
    ["fe80::1"],
    ["fe80::1%1"],
    ["2606:4700::1%1"],
    ["::ffff:127.0.0.1"],
    ["::ffff:10.0.0.1"],
    ["64:ff9b::10.0.0.1"],
    ["2002:a00:1::"],
    ["8.8.8.8", "10.0.0.1"],
    ["10.0.0.1", "8.8.8.8"],
    ["8.8.8.8", "2606:4700::1", "fd00::1"],
]


@pytest.mark.parametrize("found", NOWHERE, ids=str)
@pytest.mark.parametrize("loopback", [False, True])
async def test_a_name_that_resolves_into_a_private_network_is_refused(found: list[str], loopback: bool) -> None:
    guard = UrlGuard(allow_loopback=loopback, resolve=answering(*found))
    with pytest.raises(Refused, match="leads into a private network"):
        await guard.addresses("https://example.com/a", name="link")
    with pytest.raises(Refused, match=r"^image_urls: "):
        await guard.check_links({"image_urls": ["https://example.com/a"]})


async def test_all_addresses_of_a_public_name_are_given() -> None:
    found = await UrlGuard(resolve=answering("8.8.8.8", "2606:4700::1")).addresses("https://example.com", name="x")
    assert [str(address) for address in found] == ["8.8.8.8", "2606:4700::1"]


async def test_the_name_that_is_asked_for_is_the_one_on_the_wire() -> None:
    asked: list[str] = []

    async def resolve(host: str, caller: str) -> list[Address]:
        asked.append(host)
        return [ip_address("8.8.8.8")]

    for url in ("https://EXAMPLE.com./a", "https://bücher.example.com", "https://8.8.8.8/a"):
        assert await UrlGuard(resolve=resolve).addresses(url, name="x") == [ip_address("8.8.8.8")]
    assert asked == ["example.com", "xn--bcher-kva.example.com"]


async def no_such_name(host: str, caller: str) -> list[Address]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def too_slow(host: str, caller: str) -> list[Address]:
    raise TimeoutError


async def no_name_at_all(host: str, caller: str) -> list[Address]:
    raise UnicodeError("label too long")


@pytest.mark.parametrize("resolve", [answering(), no_such_name, too_slow, no_name_at_all])
async def test_a_name_without_an_address_is_not_fetched_and_only_noted(resolve: Resolver) -> None:
    guard = UrlGuard(resolve=resolve)
    with pytest.raises(Unresolved):
        await guard.addresses("https://example.com/a", name="x")
    (note,) = await guard.check_links({"image_urls": ["https://example.com/a", "https://example.com/b"]})
    assert note.startswith("image_urls: this server found no address for example.com")


async def test_callers_elsewhere_reach_nothing_on_this_machine_but_the_gateway() -> None:
    guard = UrlGuard(allow_loopback=True, ports=frozenset({8787}))
    gateway, other = "http://127.0.0.1:8787/a.png", "http://127.0.0.1:6379/a.png"
    assert guard.check_spelling(gateway, name="x", caller="alice") == "127.0.0.1"
    assert guard.check_spelling(other, name="x") == "127.0.0.1", "a link that the gateway gave"
    for url in (other, "http://localhost/a", "https://localhost/a", "http://[::1]:6379/a"):
        with pytest.raises(Refused, match="not EvoLink's"):
            guard.check_spelling(url, name="x", caller="alice")
        with pytest.raises(Refused, match="not EvoLink's"):  # a redirect there
            await guard.addresses(url, name="x", caller="alice")
        with pytest.raises(Refused, match="not EvoLink's"):
            await guard.check_links({"image_urls": [gateway, url]}, caller="alice")


async def test_localhost_must_lead_to_this_machine() -> None:
    guard = UrlGuard(allow_loopback=True, resolve=answering("127.0.0.1", "::1"))
    assert len(await guard.addresses("http://localhost:8787/a", name="x")) == 2
    guard = UrlGuard(allow_loopback=True, resolve=answering("127.0.0.1", "10.0.0.1"))
    with pytest.raises(Refused):
        await guard.addresses("http://localhost:8787/a", name="x")


async def test_the_machines_own_resolver_gives_each_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*_: object, **__: object) -> list[tuple[object, ...]]:
        entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0))
        return [entry, entry, (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%lo", 0, 0, 1))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    addresses = await system_resolver("example.com")
    assert [is_public(address) for address in addresses] == [True, False]


async def test_links_are_found_wherever_they_are() -> None:
    hidden: list[dict[str, object]] = [
        {"image_start": "ftp://example.com/a"},
        {"image_urls": ["https://example.com/a", "http://10.0.0.1/a"]},
        {"model_params": {"element_list": [{"image_url": "https://127.0.0.1/a"}]}},
        {"callback_url": "https://169.254.169.254/"},
        {"anything": [[{"deep": ["https://user@example.com/"]}]]},
    ]
    for params in hidden:
        with pytest.raises(Refused):
            await UrlGuard().check_links(params)
    for name in ("prompt", "negative_prompt", "voice_prompt", "preview_text"):
        assert await UrlGuard().check_links({name: "http://10.0.0.1"}) == []
    harmless = {"prompt": "http://10.0.0.1", "model_params": {"multi_prompt": [{"prompt": "ftp://x"}]}, "n": 1}
    assert await UrlGuard().check_links(harmless) == []


async def test_what_only_stands_for_a_link_is_not_judged() -> None:
    assert await UrlGuard().check_links({"image_urls": ["https://10.0.0.1/a"]}, skip=lambda _: True) == []


@pytest.mark.parametrize(
    "text",
    [
        "https://10.0.0.1/a",
        " \n\thttps://10.0.0.1/a",
        "ht\ntps://10.0.0.1/a",
        "https:10.0.0.1/a",
        "https:/10.0.0.1/a",
        "HTTPS:\\\\10.0.0.1\\a",
        "//10.0.0.1/a",
        "///10.0.0.1/a",
        "\\\\10.0.0.1\\a",
        "/\\10.0.0.1/a",
        "x-very-long-scheme-of-somebody://10.0.0.1/a",
        "gopher:10.0.0.1",
        "file:c:/secret.png",
        "javascript:alert(1)",
        "concat:http://10.0.0.1/a|http://10.0.0.2/b",
        "subfile,,start,0,end,9,,:http://10.0.0.1/a",
        "view-source:https://10.0.0.1/",
        "\n" * 8192 + "https://10.0.0.1/a",
        *[
            f"{scheme}:x"
            for scheme in "http https ws wss ftp ftps sftp sftps file gopher dict ldap ldaps smb scp javascript jar "
            "blob rtsp rtmp rtmps tcp udp".split()
        ],
    ],
)
async def test_what_some_program_takes_for_a_link_is_judged_wherever_it_stands(text: str) -> None:
    for params in ({"style": text}, {"model_params": {"voice": [text]}}):
        with pytest.raises(Refused):
            await UrlGuard(resolve=answering("8.8.8.8")).check_links(params)


@pytest.mark.parametrize(
    "text",
    [
        "16:9",
        "Note: a red kite",
        "zh:female-1",
        "a/b//c",
        "// a comment",
        "1024x1024",
        "",
        "see https://example.com",
        "data:image/png;base64,AAAA",
        "风格参考https://example.com",
        "file: a report",
    ],
)
async def test_other_texts_are_no_links(text: str) -> None:
    assert not is_linklike(text)


FAKE = "198.18.0.7"


async def test_a_name_behind_a_fake_address_goes_to_the_gateway_with_a_note() -> None:
    guard = UrlGuard(resolve=answering(FAKE))
    (note,) = await guard.check_links({"image_urls": ["https://example.com/a"]})
    assert "a local proxy answers for example.com" in note
    with pytest.raises(FakeAddress):
        await guard.addresses("https://example.com/a", name="link")
    with pytest.raises(FakeAddress) as raised:
        await UrlGuard(resolve=answering("fc00::7", FAKE)).addresses("https://example.com/a", name="link")
    assert raised.value.addresses == [ip_address(FAKE)]  # the private one beside it is never connected to
    for mixed in ((FAKE, "10.0.0.1"), ("127.0.0.1", FAKE), ("fe80::1", FAKE), (FAKE, "::1")):
        with pytest.raises(Refused, match="private network"):
            await UrlGuard(resolve=answering(*mixed)).check_links({"image_urls": ["https://example.com/a"]})


@pytest.mark.parametrize("url", ["https://198.18.0.7/a", "https://198.19.255.255/a"])
async def test_a_fake_address_that_is_written_out_is_refused(url: str) -> None:
    for allow in (False, True):
        with pytest.raises(Refused, match="private network"):
            UrlGuard(allow_fake=allow).check_spelling(url, name="x")


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://a.b/c_(1).png", "https://a.b/c_(1).png"),
        (" https://a.b/c_(1)\n", "https://a.b/c_(1)"),
        ("https://a.b/c ", "https://a.b/c"),
        ("[a](https://a.b/c_(1).png)", "https://a.b/c_(1).png"),
        ("'https://a.b/'", "https://a.b/"),
        ("see https://a.b/", "see https://a.b/"),
        ("<https://a.b/", "<https://a.b/"),
        (" cat.png", " cat.png"),
        ("<ftp://a.b/c>", "<ftp://a.b/c>"),
    ],
)
def test_a_link_is_read_without_what_stands_around_it(text: str, link: str) -> None:
    assert bare_link(text) == link
