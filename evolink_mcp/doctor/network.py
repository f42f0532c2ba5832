"""Checks of the gateway: which hosts answer, and whether the key is taken. Only what is free is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import anyio
import httpx2

from evolink_mcp.doctor.report import Check
from evolink_mcp.errors import EvolinkError
from evolink_mcp.gateway import Caller, Transport
from evolink_mcp.gateway.account import model_ids
from evolink_mcp.gateway.proxies import bad_proxy, proxy_for
from evolink_mcp.gateway.replies import error_from
from evolink_mcp.guard.addresses import Address, is_fake
from evolink_mcp.guard.urls import system_resolver
from evolink_mcp.settings import Settings, is_loopback
from evolink_mcp.settings.table import BASE_URL, BY_NAME, FILES_URL, TEXT_URL

QUESTION_SECONDS = 6.0
MAX_SECONDS = 8.0  # all of them
# The settings that hold a host of the gateway, and their variables.
HOSTS = {BY_NAME[name].field: name for name in (BASE_URL, FILES_URL, TEXT_URL)}


def ask(settings: Settings) -> list[Check]:
    """Asks all hosts at once. Those that are silent for a few seconds are told as unreachable.

    Looking up a name can hang beyond any time-out, so all of it runs in a
    thread that is left behind if it must be.
    """
    fields = [field for field in HOSTS if field != "text_url" or "text" in settings.toolsets]
    urls = {getattr(settings, field): HOSTS[field] for field in fields}
    answers: dict[str, Check] = {}
    thread = threading.Thread(target=anyio.run, args=(_ask_all, settings, urls, answers), daemon=True)
    thread.start()
    thread.join(MAX_SECONDS)
    checks = {url: _unreached(url, name, f"no answer within {MAX_SECONDS:.0f} s") for url, name in urls.items()}
    return list((checks | dict(answers)).values())


async def _ask_all(settings: Settings, urls: Mapping[str, str], answers: dict[str, Check]) -> None:
    transport = Transport(settings.base_url, settings.files_url)

    async def reach(url: str, variable: str) -> None:
        answers[url] = await _reach(transport, url, variable)

    async def try_key(key: str) -> None:
        answers["key"] = await _key(Caller(transport, key))

    async def try_models(key: str) -> None:
        if check := await _models(Caller(transport, key), settings):
            answers["models"] = check

    async def resolve_hosts() -> None:
        if check := await _names(settings, urls):
            answers["names"] = check

    try:
        async with anyio.create_task_group() as group:
            for url, variable in urls.items():
                group.start_soon(reach, url, variable)
            if settings.api_key:
                group.start_soon(try_key, settings.api_key)
                group.start_soon(try_models, settings.api_key)
            group.start_soon(resolve_hosts)
    finally:
        await transport.aclose()


async def _names(settings: Settings, urls: Iterable[str]) -> Check | None:
    """What to say where a local proxy answers for names; nothing where none does."""
    hosts = {urlsplit(url).hostname or "" for url in urls}
    addresses: list[Address] = []
    for host in hosts:
        with suppress(OSError, UnicodeError):
            addresses += [] if is_loopback(host) else await system_resolver(host)
    if not any(map(is_fake, addresses)):
        return None
    text = "a local proxy in fake-IP mode answers for names with addresses of 198.18.0.0/15"
    if settings.fake_ip:
        return Check("names", "ok", f"{text}; EVOLINK_FAKE_IP lets results be fetched through it")
    advice = "To save and preview results, set EVOLINK_FAKE_IP=1, or name the proxy in HTTPS_PROXY."
    return Check("names", "note", text, advice)


async def _reach(transport: Transport, url: str, variable: str) -> Check:
    """Whether a host answers at all, whatever it says. No key is sent."""
    started = time.monotonic()
    reason = f"no answer within {QUESTION_SECONDS:.0f} s"
    try:
        if (proxy := proxy_for(url)) and proxy.problem:  # with some of these, the HTTP client fails in ways of its own
            raise bad_proxy(proxy)
        with anyio.fail_after(QUESTION_SECONDS):
            async with transport.lend() as client, client.stream("GET", url):
                pass
    except TimeoutError:
        pass
    except EvolinkError as error:  # a proxy that cannot be used
        reason = error.what
    except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, ImportError, ValueError) as error:
        reason = str(error) or type(error).__name__
    else:
        host = urlsplit(url).netloc
        return Check("host", "ok", f"{host} answers ({(time.monotonic() - started) * 1000:.0f} ms)")
    return _unreached(url, variable, reason)


def _unreached(url: str, variable: str, reason: str) -> Check:
    return Check(
        "host",
        "wrong",
        f"{urlsplit(url).netloc} cannot be reached: {reason[:200]}",
        f"Check the network, a proxy or firewall, and {variable} if you set it.",
    )


async def _key(caller: Caller) -> Check:
    """Whether the gateway takes the key: its balance is read, which is free."""
    try:
        reply = await caller.ask("GET", f"{caller.transport.api_url}/v1/credits", seconds=QUESTION_SECONDS)
        if not reply.ok:
            raise error_from(reply, doing="reading the balance")
    except EvolinkError as error:
        return Check("key accepted", "wrong", error.what, error.next_step)
    return Check("key accepted", "ok", f"{reply.host} takes it")


async def _models(caller: Caller, settings: Settings) -> Check | None:
    """How the registry compares with the models that the gateway offers this key; nothing where it does not tell."""
    from evolink_mcp.registry import load

    try:
        ids = await model_ids(caller, seconds=QUESTION_SECONDS)
    except EvolinkError:
        return None  # the check of the key tells
    if not ids:
        return None
    registry = load(settings.models_file)
    absent, unknown = registry.compare(ids)
    text = f"{len(ids)} are offered to this key: {len(absent)} known here are not among them, {len(unknown)} others are"
    advice = "evolink-mcp models --live names them." if absent or unknown else ""
    return Check("models at the gateway", "ok", text, advice)
