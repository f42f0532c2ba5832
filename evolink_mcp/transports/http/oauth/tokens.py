"""What a token is worth: whose it is, for how long, and whether it was made for this server.

JSON Web Tokens are checked here against the provider's keys (RFC 7519, RFC 9068, RFC 8725); opaque ones by asking the
provider (RFC 7662), where the operator has a client there for it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import jwt

from evolink_mcp.settings.claims import values_of
from evolink_mcp.transports.http.oauth.provider import ALGORITHMS, Provider

MAX_TOKEN = 16 * 1024  # characters
MAX_SUBJECT = 255  # characters; OpenID Connect Core, section 2
SKEW_SECONDS = 60  # between the clocks of the provider and of this machine
REMEMBER_SECONDS = 30.0  # a token that was revoked is believed no longer
MAX_REMEMBERED = 10_000
MAX_EXP = 1e11  # a year beyond 5000, in seconds


class Invalid(Exception):
    """A token that is not taken, and why, in words without the token."""


@dataclass(frozen=True)
class Principal:
    """Whom a token speaks for. ``claims`` are the provider's words."""

    issuer: str
    subject: str
    scopes: frozenset[str]
    claims: Mapping[str, Any]


class Tokens:
    """Judges tokens of one provider made for one of ``audiences``. A verdict holds for half a minute."""

    def __init__(self, provider: Provider, audiences: tuple[str, ...]) -> None:
        self._provider = provider
        self._audiences = audiences
        self._clock = provider.clock
        # Until when a verdict holds, measured, and by the time of day, which may be wrong when it is made.
        self._principals: OrderedDict[str, tuple[float, float, Principal]] = OrderedDict()
        self._refused: OrderedDict[str, tuple[float, str]] = OrderedDict()  # until when, and why

    async def principal(self, token: str) -> Principal:
        """Whom a token speaks for.

        Raises:
            Invalid: It is not taken.
            Away: The provider has to be asked, and cannot be.
        """
        if len(token) > MAX_TOKEN:
            raise Invalid("the token is too long")
        digest = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        known = self._principals.get(digest)
        if known is not None and self._clock.monotonic() < known[0] and self._clock.now() < known[1]:
            return known[2]
        claims = await self._claims(token, digest)
        principal, exp = _principal(claims), _end(claims)
        end = self._clock.monotonic() + REMEMBER_SECONDS
        self._principals[digest] = (end, exp + SKEW_SECONDS, principal)
        while len(self._principals) > MAX_REMEMBERED:
            self._principals.popitem(last=False)
        return principal

    async def _claims(self, token: str, digest: str) -> Mapping[str, Any]:
        match token.count("."):
            case 2:
                return await self._signed(token)
            case 4:
                raise Invalid("encrypted tokens are not accepted")
            case _:
                return await self._judged(token, digest)

    async def _signed(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that the provider signed."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Invalid("the token cannot be read") from None
        algorithm, kid = header.get("alg"), header.get("kid", "")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise Invalid(f"tokens are signed with {' or '.join(ALGORITHMS)} here")
        if "crit" in header or str(header.get("cty", "")).upper() == "JWT":
            raise Invalid("the token asks for what is not supported here")
        key = await self._provider.key(kid if isinstance(kid, str) else "", algorithm)
        if key is None:
            raise Invalid("the provider has no such key")
        issuer = (await self._provider.metadata()).issuer
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audiences,
                issuer=issuer,
                leeway=SKEW_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise Invalid("the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise Invalid("the token is not valid yet") from None
        except jwt.InvalidAudienceError:
            raise Invalid("the token was made for another audience") from None
        except jwt.InvalidIssuerError:
            raise Invalid("the token comes from another issuer") from None
        except jwt.InvalidSignatureError:
            raise Invalid("the signature is wrong") from None
        except jwt.MissingRequiredClaimError as error:
            raise Invalid(f"the token has no claim {error.claim}") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise Invalid("the token is malformed") from None

    async def _judged(self, token: str, digest: str) -> Mapping[str, Any]:
        """The claims of an opaque token. One that was refused is not asked about again for a while."""
        if self._clock.monotonic() < self._refused.get(digest, (0.0, ""))[0]:
            raise Invalid(self._refused[digest][1])
        try:
            return await self._opaque(token, renewal=digest in self._principals)
        except Invalid as problem:
            self._refused[digest] = self._clock.monotonic() + REMEMBER_SECONDS, str(problem)
            while len(self._refused) > MAX_REMEMBERED:
                self._refused.popitem(last=False)
            raise

    async def _opaque(self, token: str, *, renewal: bool) -> Mapping[str, Any]:
        """The claims of a token that only the provider can read."""
        if self._provider.client is None:
            raise Invalid("the token is not a JSON Web Token")
        claims = await self._provider.introspect(token, renewal=renewal)
        if claims.get("active") is not True:
            raise Invalid("the token is not active")
        issuer = (await self._provider.metadata()).issuer
        if claims.get("iss", issuer) != issuer:
            raise Invalid("the token comes from another issuer")
        if not set(values_of(claims, "aud")) & set(self._audiences):
            raise Invalid("the token was made for another audience")
        if _end(claims) <= self._clock.now() - SKEW_SECONDS:
            raise Invalid("the token has expired")
        return {**claims, "iss": issuer}


def _principal(claims: Mapping[str, Any]) -> Principal:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise Invalid("the token names nobody")
    return Principal(str(claims["iss"]), subject, _scopes(claims), claims)


def _end(claims: Mapping[str, Any]) -> float:
    """When a token expires, in seconds since 1970. Digits may go on beyond what a float holds."""
    end: object = claims.get("exp")
    if isinstance(end, bool) or not isinstance(end, int | float) or not 0 <= end < MAX_EXP:
        raise Invalid("the token does not say when it expires")
    return float(end)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes as RFC 9068 and RFC 7662 (``scope``) or Entra (``scp``) write them."""
    value: object = claims.get("scope", claims.get("scp", ""))
    words = cast("list[Any]", value) if isinstance(value, list) else str(value).split()
    return frozenset(str(word) for word in words)
