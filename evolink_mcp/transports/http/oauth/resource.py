"""This server as a protected resource: who calls, how one signs in, and what is published of that.

Sources: RFC 6750 (challenges), RFC 9728 (metadata of a resource), the authorization chapter of MCP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from evolink_mcp.guard.text import one_line
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.jobs.ledger import owner_of
from evolink_mcp.settings import Settings
from evolink_mcp.settings.claims import all_hold, values_of
from evolink_mcp.tools.identity import Credential
from evolink_mcp.transports.http.auth import bearer
from evolink_mcp.transports.http.keys import Keys
from evolink_mcp.transports.http.oauth.provider import Away, Provider
from evolink_mcp.transports.http.oauth.tokens import Invalid, Principal, Tokens
from evolink_mcp.transports.http.refusals import refusal

METADATA = "/.well-known/oauth-protected-resource"
ENDPOINTS = ("/mcp", "/sse")
AWAY_SECONDS = 10.0
MAX_NAME = 60  # characters


class Resource:
    """Tells callers by the tokens of one provider."""

    def __init__(self, settings: Settings, public_url: str, keys: Keys, clock: Clock) -> None:
        self._settings = settings
        self._public = public_url.rstrip("/")
        self._keys = keys
        self.provider = Provider(settings.oauth_issuer or "", settings.oauth_client, clock)
        own = (self._public, *(f"{self._public}{path}" for path in ENDPOINTS))
        self._tokens = Tokens(self.provider, settings.oauth_audiences or own)

    async def authenticate(self, headers: Headers, path: str) -> Credential | Response:
        """Who calls; or the answer to one who may not, or of whom nobody can tell now."""
        presented = bearer(headers)
        if not presented:
            return self.challenge(path, "This server needs you to sign in.")
        if len(presented) > 1 or not presented[0]:
            return self.challenge(path, "Send exactly one token.", "invalid_request")
        try:
            principal = await self._tokens.principal(presented[0])
        except Invalid as problem:
            return self.challenge(path, f"The token is not accepted: {problem}.", "invalid_token")
        except Away:
            return refusal(
                503,
                "sign_in_away",
                "The identity provider does not answer, so nobody can tell who calls.",
                next_step="Keep the token and send the request again in a few seconds.",
                retry_after=AWAY_SECONDS,
            )
        return self._admit(principal, presented[0], path)

    def challenge(self, path: str, message: str, error: str = "") -> Response:
        """The 401 that has a client sign in; the 403 that has it ask for more, where the scope is what is missing."""
        fields = {"realm": "evolink-mcp", "error": error}
        fields |= {"error_description": message if error else "", "scope": " ".join(self._settings.oauth_scopes)}
        fields["resource_metadata"] = self._metadata_url(path)
        text = ", ".join(f'{name}="{_quoted(value)}"' for name, value in fields.items() if value)
        status = 403 if error == "insufficient_scope" else 401
        next_step = "Sign in again: your client does it by itself where it speaks OAuth, with the address alone."
        reason = error or "unauthorized"
        return refusal(status, reason, message, next_step=next_step, headers={"www-authenticate": f"Bearer {text}"})

    def metadata(self, path: str) -> Response | None:
        """What is published of the endpoint that a well-known path stands for; ``None`` where it stands for none."""
        if not path.startswith(METADATA):
            return None
        prefix = urlsplit(self._public).path
        endpoint = path.removeprefix(METADATA).removeprefix(prefix) or ENDPOINTS[0]
        if endpoint not in ENDPOINTS:
            return None
        body: dict[str, Any] = {
            "resource": f"{self._public}{endpoint}",
            "authorization_servers": [self.provider.issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": "EvoLink media",
        }
        if self._settings.oauth_scopes:
            body["scopes_supported"] = list(self._settings.oauth_scopes)
        return JSONResponse(body, headers={"cache-control": "public, max-age=300"})

    def _admit(self, principal: Principal, token: str, path: str) -> Credential | Response:
        if missing := set(self._settings.oauth_scopes) - principal.scopes:
            message = f"The token lacks the scope {' '.join(sorted(missing))}."
            return self.challenge(path, message, "insufficient_scope")
        if not all_hold(self._settings.oauth_allow, principal.claims):
            return _forbidden("not_allowed", "You are signed in, and this server does not serve your account.")
        key = self._keys.key_for(principal.claims)
        if key is None:
            return _forbidden("no_key", "You are signed in, and no EvoLink key is set for you here.")
        name = _name(principal.claims, self._settings.oauth_name)
        return Credential(key, owner_of(f"oauth {principal.issuer} {principal.subject}"), name, token)

    def _metadata_url(self, path: str) -> str:
        parts = urlsplit(self._public)
        endpoint = ENDPOINTS[0] if path == ENDPOINTS[0] else ENDPOINTS[1]
        return f"{parts.scheme}://{parts.netloc}{METADATA}{parts.path}{endpoint}"


def _forbidden(reason: str, message: str) -> Response:
    return refusal(403, reason, message, next_step="Ask whoever runs this server.")


def _name(claims: Mapping[str, Any], claim: str) -> str:
    """What the operator wants callers to be called in logs and metrics; "" where nothing."""
    values = values_of(claims, claim) if claim else []
    return one_line(values[0], MAX_NAME) if values else ""


def _quoted(text: str) -> str:
    """A text inside a quoted string of a header (RFC 9110, section 5.6.4)."""
    plain = text.encode("ascii", "replace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"')
