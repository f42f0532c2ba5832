"""Sign-in: good tokens let in, others are refused in words, and an outage of the provider is no refusal."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from evolink_mcp.errors import SettingsError
from evolink_mcp.settings import Settings
from evolink_mcp.settings.claims import Condition
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.oauth import tokens
from evolink_mcp.transports.http.oauth.provider import ASK_SECONDS, MAX_QUESTIONS, MAX_WAITING
from evolink_mcp.transports.http.options import HttpOptions
from tests.provider import AUDIENCE, CLIENT, RESOURCE, MovedClock, Provider, new_key, running_provider, signed_in
from tests.serving import ACCEPT, WAYS, Way, bearer, call_body, connected, serving
from tests.unit.http.asking import reason

OPTIONS = HttpOptions(auth="oauth", public_url=RESOURCE)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@asynccontextmanager
async def client(
    settings: Settings, options: HttpOptions = OPTIONS, clock: MovedClock | None = None
) -> AsyncGenerator[httpx2.AsyncClient]:
    application = HttpApplication(settings, options, clock)
    assert application.resource is not None
    transport = httpx2.ASGITransport(application)
    async with httpx2.AsyncClient(transport=transport, base_url=RESOURCE) as http:
        yield http
    await application.resource.provider.aclose()
    await application.app.aclose(0)


async def status(http: httpx2.AsyncClient, token: str, path: str = "/mcp") -> int:
    """405 where the token is taken: GET is no method of that path, and who calls is told first."""
    return (await http.get(path, headers=bearer(token))).status_code


@pytest.mark.parametrize(("path", "endpoint"), [("/mcp", "/mcp"), ("/sse", "/sse"), ("/messages/", "/sse")])
async def test_without_a_token_the_answer_leads_to_the_metadata_and_that_to_the_provider(
    provider: Provider, path: str, endpoint: str
) -> None:
    async with client(signed_in(provider)) as http:
        refused = await http.post(path, json={})
        assert refused.status_code == 401
        challenge = refused.headers["www-authenticate"]
        match = re.search(r'resource_metadata="([^"]+)"', challenge)
        assert match is not None
        assert "error=" not in challenge
        published = (await http.get(match[1])).json()
    assert published["resource"] == f"{RESOURCE}{endpoint}"
    assert published["authorization_servers"] == [provider.issuer]


async def test_the_metadata_of_a_server_below_a_path_names_that_path(provider: Provider) -> None:
    options = HttpOptions(auth="oauth", public_url=f"{RESOURCE}/evolink")
    async with client(signed_in(provider), options) as http:
        well_known = "/.well-known/oauth-protected-resource/evolink/mcp"
        assert well_known in (await http.post("/evolink/mcp")).headers["www-authenticate"]
        assert (await http.get(well_known)).json()["resource"] == f"{RESOURCE}/evolink/mcp"


@pytest.mark.parametrize("auth", ["passthrough", "token", "none"])
async def test_no_metadata_is_published_where_callers_do_not_sign_in(auth: Any) -> None:
    settings = Settings(api_key="sk-0123456789", mcp_tokens=signed_tokens() if auth == "token" else ())
    transport = httpx2.ASGITransport(HttpApplication(settings, HttpOptions(auth=auth)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        for path in ("", "/mcp", "/sse"):
            assert (await http.get(f"/.well-known/oauth-protected-resource{path}")).status_code == 404
        assert "resource_metadata" not in (await http.get("/mcp")).headers.get("www-authenticate", "")


def signed_tokens() -> Any:
    from evolink_mcp.settings import Token

    return (Token("0" * 64, "alice"),)


@pytest.mark.parametrize("kind", ["EC", "RSA"])
async def test_a_token_for_this_server_lets_in(provider: Provider, kind: str) -> None:
    provider.keys["first"] = new_key(kind)
    async with client(signed_in(provider)) as http:
        for audience in (AUDIENCE, RESOURCE, f"{RESOURCE}/sse", ["https://else.example.com", AUDIENCE]):
            assert await status(http, provider.token(aud=audience)) == 405


async def test_clocks_may_differ_by_half_a_minute(provider: Provider) -> None:
    now = provider.claims()["iat"]
    async with client(signed_in(provider)) as http:
        assert await status(http, provider.token(exp=now - 30)) == 405
        assert await status(http, provider.token(iat=now + 30, nbf=now + 30)) == 405
        assert await status(http, provider.token(exp=now - 90)) == 401


async def test_a_new_key_is_found_and_a_revoked_one_is_forgotten(provider: Provider) -> None:
    clock = MovedClock()
    async with client(signed_in(provider), clock=clock) as http:
        old, unseen = provider.token(), provider.token(sub="bob")
        assert await status(http, old) == 405
        provider.keys = {"second": new_key()}
        clock.pass_cooldown()
        assert await status(http, provider.token("second")) == 405
        clock.pass_freshness()
        assert await status(http, unseen) == 401


async def test_made_up_keys_do_not_make_the_server_ask_without_end(provider: Provider) -> None:
    made_up = Provider()
    made_up.issuer = provider.issuer
    async with client(signed_in(provider)) as http:
        for number in range(20):
            made_up.keys = {f"key-{number}": new_key()}
            assert await status(http, made_up.token(f"key-{number}")) == 401
    assert provider.requests.count("/keys") <= 2


async def test_while_the_provider_is_away_callers_keep_their_tokens(provider: Provider) -> None:
    provider.status = 500
    clock = MovedClock()
    async with client(signed_in(provider), clock=clock) as http:
        response = await http.get("/mcp", headers=bearer(provider.token()))
        assert response.status_code == 503
        assert reason(response) == "sign_in_away"
        assert int(response.headers["retry-after"]) >= 1
        assert "www-authenticate" not in response.headers
        provider.status = 200
        clock.pass_cooldown()
        assert await status(http, provider.token()) == 405
        provider.status = 500
        clock.pass_freshness()
        assert await status(http, provider.token(sub="bob")) == 405, "known keys hold for a while"
        clock.ahead += 3600
        assert await status(http, provider.token(sub="carol")) == 503


async def test_the_metadata_of_another_issuer_is_not_believed(provider: Provider) -> None:
    async with client(signed_in(provider, oauth_issuer=f"{provider.issuer}/tenant")) as http:
        assert await status(http, provider.token()) == 503


async def test_an_opaque_token_is_what_the_provider_says_of_it(provider: Provider) -> None:
    provider.opaque["good"] = {"active": True, **provider.claims()}
    provider.opaque["elsewhere"] = {"active": True, **provider.claims(aud="https://else.example.com")}
    provider.opaque["unaddressed"] = {"active": True, **provider.claims(aud=None)}
    provider.opaque["foreign"] = {"active": True, **provider.claims(iss="https://else.example.com")}
    provider.opaque["old"] = {"active": True, **provider.claims(exp=1)}
    provider.opaque["for ever"] = {"active": True, **provider.claims(exp=10**400)}
    provider.opaque["endless"] = {"active": True, **provider.claims(exp=None)}
    provider.opaque["nobody"] = {"active": True, **provider.claims(sub=None)}
    async with client(signed_in(provider, oauth_client=CLIENT)) as http:
        found = {token: await status(http, token) for token in [*provider.opaque, "unknown"]}
        assert found.pop("good") == 405
        assert set(found.values()) == {401}
        provider.status = 500
        assert await status(http, "another") == 503
    async with client(signed_in(provider)) as http:
        assert await status(http, "good") == 401


async def test_made_up_tokens_keep_nobody_out_who_was_in(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "REMEMBER_SECONDS", 0.0)
    provider.opaque["good"] = {"active": True, **provider.claims()}
    held = MAX_QUESTIONS + MAX_WAITING
    found: list[int] = []
    async with client(signed_in(provider, oauth_client=CLIENT)) as http:

        async def present(token: str) -> None:
            found.append(await status(http, token))

        assert await status(http, "good") == 405
        provider.answers_strangers.clear()
        try:
            async with anyio.create_task_group() as strangers:
                for number in range(held + 5):
                    strangers.start_soon(present, f"made-up-{number}")
                with anyio.fail_after(ASK_SECONDS - 1):
                    while len(found) < 5:  # at once, and the rest wait
                        await anyio.sleep(0.01)
                assert await status(http, "good") == 405
                provider.answers_strangers.set()
        finally:
            provider.answers_strangers.set()
        assert found[:5] == [503] * 5
        assert set(found[5:]) <= {401, 503}  # on a slow machine some have waited too long


async def test_a_token_that_was_refused_is_not_asked_about_again_for_a_while(provider: Provider) -> None:
    async with client(signed_in(provider, oauth_client=CLIENT)) as http:
        assert [await status(http, "made-up") for _ in range(3)] == [401] * 3
        assert provider.requests.count("/introspect") == 1


async def test_a_token_without_the_scope_is_told_which_one_to_ask_for(provider: Provider) -> None:
    async with client(signed_in(provider, oauth_scopes=("media", "paid"))) as http:
        response = await http.get("/mcp", headers=bearer(provider.token()))
        assert response.status_code == 403
        challenge = response.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="media paid"' in challenge
        assert await status(http, provider.token(scope=None, scp=["media", "paid"])) == 405
        assert await status(http, provider.token(scope=None)) == 403


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"email": "alice@Example.com", "email_verified": True, "groups": ["film", "all"]}, 405),
        ({"email": "alice@example.com", "email_verified": False, "groups": ["film"]}, 403),
        ({"email": "alice@example.com", "groups": ["film"]}, 403),
        ({"email": "alice@example.com.evil.org", "email_verified": True, "groups": ["film"]}, 403),
        ({"email": "alice@example.com", "email_verified": True, "groups": ["films"]}, 403),
        ({"email": "alice@example.com", "email_verified": True, "groups": "sound"}, 405),
        ({"groups": ["film"]}, 403),
    ],
)
async def test_whom_to_serve_is_told_by_claims(provider: Provider, claims: dict[str, Any], expected: int) -> None:
    conditions = tuple(map(Condition.parse, ("email=*@example.com", "groups=film", "groups=sound")))
    async with client(signed_in(provider, oauth_allow=conditions)) as http:
        assert await status(http, provider.token(**claims)) == expected


async def test_lists_are_open_before_sign_in_where_the_operator_wants_it_and_nothing_else(provider: Provider) -> None:
    options = HttpOptions(auth="oauth", public_url=RESOURCE, open_lists=True)
    paid = call_body("generate_image", prompt="a red kite")
    async with client(signed_in(provider), options) as http:
        for body in (paid, [call_body("list_models"), paid], {"x": 1}, "text"):
            response = await http.post("/mcp", json=body, headers=ACCEPT)
            assert response.status_code == 401
            assert "resource_metadata" in response.headers["www-authenticate"]
        assert (await http.post("/mcp", json=paid, headers={**ACCEPT, **bearer("wrong")})).status_code == 401
    async with client(signed_in(provider)) as http:
        assert (await http.post("/mcp", json=call_body("list_models"), headers=ACCEPT)).status_code == 401


@pytest.mark.parametrize("way", WAYS)
async def test_open_lists_are_answered_before_sign_in_by_every_transport(provider: Provider, way: Way) -> None:
    options = HttpOptions(auth="oauth", public_url=RESOURCE, open_lists=True)
    async with serving(signed_in(provider), options) as served:
        async with connected(served.url, way, {}) as stranger:
            assert "generate_image" in [tool.name for tool in (await stranger.list_tools()).tools]
            listed = await stranger.call_tool("list_models", {"kind": "image"})
            assert not listed.is_error
            assert listed.structured_content
        async with connected(served.url, way, bearer(provider.token())) as person:
            assert (await person.list_tools()).tools
        assert served.application.resource is not None
        await served.application.resource.provider.aclose()


async def test_a_stranger_over_sse_hears_where_to_sign_in_once_it_matters(provider: Provider) -> None:
    options = HttpOptions(auth="oauth", public_url=RESOURCE, open_lists=True)
    async with serving(signed_in(provider), options) as served, httpx2.AsyncClient(trust_env=False) as http:
        async with http.stream("GET", f"{served.url}/sse") as stream:
            events = stream.aiter_lines()
            place = ""
            while not place.startswith("data: "):
                place = await anext(events)
            session = f"{served.url}{place.removeprefix('data: ')}"
            paid = await http.post(session, json=call_body("generate_image", prompt="a red kite"))
            assert paid.status_code == 401
            assert "resource_metadata" in paid.headers["www-authenticate"]
            # A session belongs to whoever opened it: after signing in there is a new one.
            late = await http.post(session, json=call_body("list_models"), headers=bearer(provider.token()))
            assert late.status_code == 404
        assert served.application.resource is not None
        await served.application.resource.provider.aclose()


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        (HttpOptions(auth="oauth"), {}, "--public-url"),
        (HttpOptions(auth="oauth", public_url="http://mcp.example.com"), {}, "https://"),
        (OPTIONS, {"oauth_issuer": None}, "EVOLINK_OAUTH_ISSUER"),
        (OPTIONS, {"api_key": None}, "EVOLINK_KEYS_FILE"),
        (OPTIONS, {"keys_file": Path("/nonexistent")}, "EVOLINK_KEYS_FILE cannot be read"),
        (HttpOptions(open_lists=True), {}, "--open-lists"),
    ],
)
def test_what_is_missing_for_sign_in_is_told_at_the_start(
    options: HttpOptions, settings: dict[str, Any], said: str
) -> None:
    values: dict[str, Any] = {"api_key": "sk-0123456789", "oauth_issuer": "https://id.example.com", **settings}
    whole = Settings(**values)
    with pytest.raises(SettingsError, match=re.escape(said)):
        HttpApplication(whole, options)
