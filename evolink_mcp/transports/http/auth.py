"""Who calls, told from a request's headers alone, before its body is read.

* passthrough: each caller brings an EvoLink key; the process's own is never used.
* token: callers bring a token of EVOLINK_MCP_TOKENS; the process's key pays, or one of EVOLINK_KEYS_FILE.
* oauth: callers sign in with the operator's identity provider (see ``oauth``); keys as with tokens.
* none: whoever reaches the port is the operator. On loopback only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from evolink_mcp.errors import KEYS_PAGE
from evolink_mcp.jobs.ledger import owner_of
from evolink_mcp.settings import Settings, Token
from evolink_mcp.settings.placeholders import unfilled_secret
from evolink_mcp.tools.identity import Credential
from evolink_mcp.transports.http.keys import Keys
from evolink_mcp.transports.http.options import Auth
from evolink_mcp.transports.http.refusals import refusal

if TYPE_CHECKING:
    from evolink_mcp.transports.http.oauth.resource import Resource

KEY_HEADER = "x-evolink-key"
MAX_SECRET = 512
CHALLENGE = {"www-authenticate": 'Bearer realm="evolink-mcp"'}
# What clients ask for that take a 401 as an invitation to sign in: RFC 7591, RFC 6749, where the SDKs look for it.
OAUTH_PATHS = ("/register", "/authorize", "/token")

Authenticate = Callable[[Headers, str], Awaitable[Credential | Response]]
Check = Callable[[Headers], Credential | Response]


def authenticator(auth: Auth, settings: Settings, keys: Keys, resource: Resource | None = None) -> Authenticate:
    """The check for a way of authenticating, from headers and path: the caller, or the answer to give."""
    if resource is not None:
        return resource.authenticate
    check = _check(auth, settings, keys)

    async def authenticate(headers: Headers, _path: str) -> Credential | Response:
        return check(headers)

    return authenticate


def _check(auth: Auth, settings: Settings, keys: Keys) -> Check:
    match auth:
        case "token":
            return _by_token(settings.mcp_tokens, keys)
        case "none":
            operator = Credential(settings.api_key, owner_of(settings.api_key or ""))
            return lambda _: operator
        case _:
            return _passthrough


def how_to_call(auth: Auth) -> str:
    """One sentence: what a caller sends to be let in."""
    header = "as the header 'Authorization: Bearer {}' (in mcp-remote: --header)"
    match auth:
        case "passthrough":
            return f"Send your EvoLink key {header.format('<your EvoLink key>')} or 'X-EvoLink-Key'. Keys: {KEYS_PAGE}"
        case "token":
            return f"Send a token from this server's operator {header.format('<token>')}."
        case "none":
            return "Send no credential: whoever reaches this server is its operator."
        case "oauth":
            return "Sign in with the identity provider that this server's metadata names."


def no_oauth(auth: Auth) -> Response:
    """The answer to a client that wants to register or to sign in, in the form of OAuth errors, which it shows."""
    description = how_to_call(auth) if auth == "oauth" else f"There is no OAuth on this server. {how_to_call(auth)}"
    body = {"error": "access_denied", "error_description": description}
    return JSONResponse(body, 404, {"cache-control": "no-store"})


def _passthrough(headers: Headers) -> Credential | Response:
    keys = {each.strip() for each in (*bearer(headers), *headers.getlist(KEY_HEADER))}
    key = keys.pop() if keys else ""
    if keys:
        return _unauthorized("Two different keys were given.", "Send only one, in Authorization or in X-EvoLink-Key.")
    if placeholder := unfilled_secret(key):
        return _unfilled("key", placeholder, "passthrough")
    if not _usable(key):
        message = "This server needs your own EvoLink key with every request" + (
            ", and this is not one." if key else "."
        )
        return _unauthorized(f"{message} There is no OAuth here.", how_to_call("passthrough"))
    return Credential(key, owner_of(key))


def _by_token(tokens: tuple[Token, ...], keys: Keys) -> Check:
    def check(headers: Headers) -> Credential | Response:
        bearers = bearer(headers)
        presented = bearers[0] if len(bearers) == 1 else ""
        digest = hashlib.sha256(presented.encode("utf-8", "replace")).hexdigest()
        match: Token | None = None
        for token in tokens:  # all of them, so that the time tells nothing
            if hmac.compare_digest(token.digest, digest):
                match = token
        if match is None or not _usable(presented):
            if placeholder := unfilled_secret(presented):
                return _unfilled("token", placeholder, "token")
            message = "This server needs a token" + (", and this one is not valid." if bearers else ".")
            return _unauthorized(f"{message} There is no OAuth here.", how_to_call("token"))
        key = keys.key_for({"name": match.name})
        return Credential(key, owner_of(f"token {presented}"), match.name, presented)

    return check


def bearer(headers: Headers) -> list[str]:
    """What the Authorization headers carry; a scheme other than Bearer carries nothing."""
    split = [value.strip().partition(" ") for value in headers.getlist("authorization")]
    return [secret.strip() for scheme, _, secret in split if scheme.lower() == "bearer"]


def _usable(secret: str) -> bool:
    return 0 < len(secret) <= MAX_SECRET and secret.isascii() and secret.isprintable() and " " not in secret


def _unfilled(credential: str, placeholder: str, auth: Auth) -> Response:
    message = f"The {credential} is a placeholder that your client did not fill in: {placeholder[:60]!r}."
    return _unauthorized(message, how_to_call(auth))


def _unauthorized(message: str, next_step: str) -> Response:
    return refusal(401, "unauthorized", message, next_step=next_step, headers=CHALLENGE)
