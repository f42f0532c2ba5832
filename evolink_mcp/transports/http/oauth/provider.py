"""The identity provider: what it publishes of itself, its keys, and what it says of opaque tokens.

Sources: OpenID Connect Discovery 1.0, RFC 8414 (metadata), RFC 7517 (keys), RFC 7662 (introspection).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlsplit

import anyio
import httpx2
import jwt

from evolink_mcp import __version__
from evolink_mcp.gateway import certificates
from evolink_mcp.gateway.interim import bound_interim
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.settings import is_loopback

FRESH_SECONDS = 300.0  # a key that was revoked is believed no longer
STALE_SECONDS = 3600.0  # while the provider is away, its last keys hold so long
METADATA_SECONDS = 60.0  # between two looks at where the provider's addresses are, if they fail
COOLDOWN_SECONDS = 5.0  # from the end of one request for keys to the next, whatever callers present
ASK_SECONDS = 5.0
REFRESH_ASKS = 4  # at most: keys, metadata at two places, keys again
MAX_ANSWER = 1024 * 1024
MAX_KEYS = 100
MAX_QUESTIONS = 16  # introspections at once, of tokens that were good before; and as many of others
MAX_WAITING = 64  # of those others: whoever makes tokens up has no more
MIN_RSA_BITS = 2048  # RFC 7518, section 3.3
# The algorithms that are taken, and the type of key that each is made with.
ALGORITHMS: Mapping[str, str] = {"ES256": "EC", "RS256": "RSA"}

logger = logging.getLogger(__name__)


class Away(Exception):
    """The provider does not answer, or not as one: nobody can tell whether a token is good."""


@dataclass(frozen=True)
class Metadata:
    """What the provider publishes of itself."""

    issuer: str
    keys: str
    introspection: str


class Provider:
    """One provider, by its issuer. ``client`` is the id and secret for introspection.

    ``issuer`` is spelled as the provider spells it, once that is known. Providers rotate their keys: one that is not
    known is asked for, at most once in ``COOLDOWN_SECONDS``. Meanwhile keys that were fresh a moment ago are taken as
    they are, and older ones where the provider is known to be away: one call waits for it, and others only after a
    time without calls.
    """

    def __init__(self, issuer: str, client: tuple[str, str] | None, clock: Clock) -> None:
        self.issuer = issuer
        self.client = client
        self.clock = clock
        self._metadata: Metadata | None = None
        self._metadata_at = float("-inf")
        self._keys: dict[str, jwt.PyJWK] = {}
        self._keys_at = float("-inf")
        self._asked_at = float("-inf")
        self._problem = ""
        self._lock = anyio.Lock()
        self._known_questions, self._new_questions = anyio.Semaphore(MAX_QUESTIONS), anyio.Semaphore(MAX_QUESTIONS)
        self._http: httpx2.AsyncClient | None = None

    async def key(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """The key of that id and algorithm; without an id, the only one of the algorithm. ``None`` where there is none.

        Raises:
            Away: It is not known here, and the provider cannot be asked.
        """
        key = self._known(kid, algorithm)
        if key is None or self._age > self._patience:
            async with self._lock:
                await self._refresh(kid, algorithm)
            key = self._known(kid, algorithm)
        if self._problem and (key is None or self._age > STALE_SECONDS):
            raise Away(self._problem)
        return key

    async def introspect(self, token: str, *, renewal: bool = False) -> Mapping[str, Any]:
        """What the provider says of a token. One that was good before (a ``renewal``) waits behind no made-up ones.

        Raises:
            Away: It cannot be asked.
        """
        client_id, secret = self.client or ("", "")
        questions = self._known_questions if renewal else self._new_questions
        if not renewal and questions.statistics().tasks_waiting >= MAX_WAITING:
            raise Away("the identity provider is asked more than it answers")
        try:
            with anyio.fail_after(2 * ASK_SECONDS):
                async with questions:
                    form = {"token": token, "token_type_hint": "access_token"}
                    # RFC 6749, section 2.3.1: both parts are encoded as in a form.
                    auth = httpx2.BasicAuth(quote(client_id, safe=""), quote(secret, safe=""))
                    try:
                        return await self._ask("POST", (await self.metadata()).introspection, data=form, auth=auth)
                    except Away:
                        if not await self._has_moved():
                            raise
                    return await self._ask("POST", (await self.metadata()).introspection, data=form, auth=auth)
        except TimeoutError:
            raise Away("the identity provider is asked more than it answers") from None

    async def metadata(self) -> Metadata:
        """What it publishes of itself, as it was read last.

        Raises:
            Away: It cannot be read, or is another provider's.
        """
        if self._metadata is None:
            self._metadata_at = self.clock.monotonic()
            self._metadata = await self._discover()
            self.issuer = self._metadata.issuer
        return self._metadata

    async def _has_moved(self) -> bool:
        """Reads the metadata again, at most once in a minute; true where it names other addresses than before."""
        before, now = self._metadata, self.clock.monotonic()
        if before is None or now - self._metadata_at < METADATA_SECONDS:
            return False
        self._metadata_at = now
        try:
            self._metadata = await self._discover()
        except Away:  # what was known holds
            return False
        return self._metadata != before

    async def warn_if_away(self) -> None:
        """Says at the start that it cannot be used, so that a wrong address is told before anybody signs in."""
        try:
            await self.metadata()
        except Away as problem:
            logger.warning("EVOLINK_OAUTH_ISSUER: %s. Nobody can sign in until it answers.", problem)

    async def aclose(self) -> None:
        """Closes its connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    @property
    def _patience(self) -> float:
        """How old keys may be that are taken without waiting. That somebody asks says nothing of the provider: whoever
        makes a key up can have it asked all the time."""
        if not self._lock.statistics().locked:
            return FRESH_SECONDS
        return STALE_SECONDS if self._problem else FRESH_SECONDS + REFRESH_ASKS * ASK_SECONDS

    @property
    def _age(self) -> float:
        return self.clock.monotonic() - self._keys_at

    def _known(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        fitting = [key for name, key in self._keys.items() if name == kid or not kid]
        fitting = [key for key in fitting if key.algorithm_name == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self, kid: str, algorithm: str) -> None:
        """Reads the keys anew, unless that has just been done."""
        now = self.clock.monotonic()
        known = self._known(kid, algorithm) is not None
        if now - self._asked_at < COOLDOWN_SECONDS or (known and self._age <= FRESH_SECONDS):
            return
        try:
            try:
                await self._read_keys()
                moved = self._known(kid, algorithm) is None and await self._has_moved()
            except Away:
                if not (moved := await self._has_moved()):
                    raise
            if moved:
                await self._read_keys()
            self._keys_at, self._problem = now, ""
        except Away as problem:
            if not self._problem:
                logger.warning("Signing in fails: %s", problem)
            self._problem = str(problem)
        finally:  # those who have waited for this ask nothing again
            self._asked_at = self.clock.monotonic()

    async def _read_keys(self) -> None:
        self._keys = _usable(await self._ask("GET", (await self.metadata()).keys))

    async def _discover(self) -> Metadata:
        parts = urlsplit(self.issuer)
        places = (
            f"{self.issuer.rstrip('/')}/.well-known/openid-configuration",
            f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path.rstrip('/')}",
        )
        problem = Away("the identity provider publishes no metadata")
        for place in places:
            try:
                answer = await self._ask("GET", place)
            except Away as error:
                problem = error
                continue
            issuer = answer.get("issuer")
            if not isinstance(issuer, str) or issuer.rstrip("/") != self.issuer.rstrip("/"):
                problem = Away(f"{place} is the metadata of another issuer")
                continue
            return Metadata(issuer, self._safe(answer, "jwks_uri"), self._safe(answer, "introspection_endpoint"))
        raise problem

    def _safe(self, answer: Mapping[str, Any], name: str) -> str:
        """An address of the provider: https, or on this machine where the issuer is; "" where there is none."""
        value = answer.get(name)
        parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
        local = is_loopback(parts.hostname or "") and is_loopback(urlsplit(self.issuer).hostname or "")
        return str(value) if parts.scheme == "https" or (parts.scheme == "http" and local) else ""

    async def _ask(self, method: str, url: str, **content: Any) -> Mapping[str, Any]:
        """The JSON object that the provider answers with.

        Raises:
            Away: There is none.
        """
        host, status = urlsplit(url).netloc, 0
        if not host:
            raise Away("the identity provider does not publish what is needed to check this kind of token")
        try:
            with anyio.fail_after(ASK_SECONDS):
                async with self._client.stream(method, url, **content) as response:
                    raw = bytearray()
                    async for chunk in response.aiter_bytes():
                        raw += chunk
                        if len(raw) > MAX_ANSWER:
                            raise Away(f"{host} answers with more than {MAX_ANSWER} bytes")
                    status = response.status_code
            body: object = json.loads(raw) if status == 200 else None
        except (TimeoutError, OSError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise Away(f"{host} cannot be reached ({type(error).__name__})") from None
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Away(f"{host} answers HTTP {status} without what was asked for")
        return cast("dict[str, Any]", body)

    @property
    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            bound_interim()
            self._http = httpx2.AsyncClient(
                verify=certificates.trusted(),
                trust_env=not is_loopback(urlsplit(self.issuer).hostname or ""),
                follow_redirects=False,
                limits=httpx2.Limits(max_connections=3 * MAX_QUESTIONS, keepalive_expiry=15.0),
                timeout=ASK_SECONDS,
                headers={"user-agent": f"evolink-mcp/{__version__}", "accept": "application/json"},
            )
        return self._http


def _usable(answer: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The keys of a key set that may sign tokens here, by id.

    Raises:
        Away: It is no key set.
    """
    values = answer.get("keys")
    if not isinstance(values, list):
        raise Away("the identity provider's keys are not a key set")
    keys: dict[str, jwt.PyJWK] = {}
    for number, value in enumerate(cast("list[Any]", values)[:MAX_KEYS]):
        try:
            key = jwt.PyJWK(value)
            small = key.key_type == "RSA" and key.key.key_size < MIN_RSA_BITS
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
            continue  # of a kind that is not taken here
        name = cast("object", key.key_id) or f"#{number}"
        signs = key.public_key_use in (None, "sig") and ALGORITHMS.get(key.algorithm_name) == key.key_type
        if signs and not small and isinstance(name, str):
            keys[name] = key
    return keys
