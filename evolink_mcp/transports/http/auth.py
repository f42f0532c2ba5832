"""Who calls, told from a request's headers alone, before its body is read.

* passthrough: each caller brings an EvoLink key; the process's own is never used.
* token: callers bring a token of EVOLINK_MCP_TOKENS; the process's key pays.
* none: whoever reaches the port is the operator. On loopback only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import Response

from evolink_mcp.errors import KEYS_PAGE
from evolink_mcp.jobs.memory import owner_of
from evolink_mcp.settings import Settings, Token
from evolink_mcp.tools.identity import Credential
from evolink_mcp.transports.http.options import Auth
from evolink_mcp.transports.http.refusals import refusal

KEY_HEADER = "x-evolink-key"
MAX_SECRET = 512
SCOPE = "evolink.credential"  # where the application leaves the caller for the tools
CHALLENGE = {"www-authenticate": 'Bearer realm="evolink-mcp"'}

Authenticate = Callable[[Headers], Credential | Response]


def authenticator(auth: Auth, settings: Settings) -> Authenticate:
    """The check for a way of authenticating: the caller, or the 401 to answer with."""
    match auth:
        case "passthrough":
            return _passthrough
        case "token":
            return _by_token(settings.mcp_tokens, settings.api_key)
        case "none":
            operator = Credential(settings.api_key, owner_of(settings.api_key or ""))
            return lambda _: operator


def _passthrough(headers: Headers) -> Credential | Response:
    bearer, named = _bearer(headers), headers.getlist(KEY_HEADER)
    keys = {each.strip() for each in (*bearer, *named)}
    key = keys.pop() if keys else ""
    if keys:
        return _unauthorized("Two different keys were given.", "Send one, in Authorization or in X-EvoLink-Key.")
    if not _usable(key):
        return _unauthorized(
            "This server needs your own EvoLink key with every request" + (", and this is none." if key else "."),
            f"Send it as 'Authorization: Bearer <your EvoLink key>' or as 'X-EvoLink-Key'. Keys: {KEYS_PAGE}",
        )
    return Credential(key, owner_of(key))


def _by_token(tokens: tuple[Token, ...], key: str | None) -> Authenticate:
    def check(headers: Headers) -> Credential | Response:
        bearers = _bearer(headers)
        presented = bearers[0] if len(bearers) == 1 else ""
        digest = hashlib.sha256(presented.encode("utf-8", "replace")).hexdigest()
        match: Token | None = None
        for token in tokens:  # all of them, so that the time tells nothing
            if hmac.compare_digest(token.digest, digest):
                match = token
        if match is None or not _usable(presented):
            return _unauthorized(
                "This server needs a token" + (", and this one is not valid." if bearers else "."),
                "Send 'Authorization: Bearer <token>', with a token from this server's operator.",
            )
        return Credential(key, owner_of(f"token {presented}"), match.name, presented)

    return check


def _bearer(headers: Headers) -> list[str]:
    """What the Authorization headers carry; a scheme other than Bearer carries nothing."""
    split = [value.strip().partition(" ") for value in headers.getlist("authorization")]
    return [secret.strip() for scheme, _, secret in split if scheme.lower() == "bearer"]


def _usable(secret: str) -> bool:
    return 0 < len(secret) <= MAX_SECRET and secret.isascii() and secret.isprintable() and " " not in secret


def _unauthorized(message: str, next_step: str) -> Response:
    return refusal(401, "unauthorized", message, next_step=next_step, headers=CHALLENGE)
