"""An identity provider on loopback: it publishes its keys, signs tokens, and says what opaque ones are worth."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.settings import Settings
from evolink_mcp.transports.http.oauth.provider import COOLDOWN_SECONDS, FRESH_SECONDS

RESOURCE = "https://mcp.example.com"
AUDIENCE = f"{RESOURCE}/mcp"
CLIENT = ("resource-server", "a secret: of+signs")
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key(kind: str = "EC") -> Key:
    return ec.generate_private_key(ec.SECP256R1()) if kind == "EC" else rsa.generate_private_key(65537, 2048)


def algorithm_of(key: Key) -> str:
    return "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"


def public_jwk(key: Key, kid: str) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name(algorithm_of(key))
    return {**cast("Any", algorithm).to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


class Provider:
    """The provider: its keys by id, the opaque tokens it knows, and how it fails."""

    def __init__(self) -> None:
        self.issuer = ""
        self.keys: dict[str, Key] = {"first": new_key()}
        self.odd_keys: list[Any] = []  # published before them
        self.opaque: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.at = ""  # below which its keys and its introspection are
        self.keys_at = ""  # where its keys are, if elsewhere
        self.status = 200
        self.answers = threading.Event()  # while not set, whoever asks waits
        self.answers.set()
        self.answers_strangers = threading.Event()  # while not set, it takes its time over tokens it does not know
        self.answers_strangers.set()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token, with changes; ``None`` takes one away."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "alice", "aud": AUDIENCE, "iat": now, "exp": now + 300, "scope": "media"}
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def token(self, kid: str = "first", *, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token that it signed, good but for the changes of its claims."""
        key = self.keys[kid]
        return jwt.encode(self.claims(**changes), key, algorithm_of(key), headers={"kid": kid, **(headers or {})})

    def answer(self, path: str, form: dict[str, list[str]]) -> dict[str, Any] | None:
        if not path.startswith(("/.well-known/", f"{self.at}/")):
            return None
        match path.removeprefix(self.at):
            case "/.well-known/openid-configuration":
                return {
                    "issuer": self.issuer,
                    "jwks_uri": self.keys_at or f"{self.issuer}{self.at}/keys",
                    "introspection_endpoint": f"{self.issuer}{self.at}/introspect",
                }
            case "/keys":
                return {"keys": [*self.odd_keys, *(public_jwk(key, kid) for kid, key in self.keys.items())]}
            case "/introspect":
                if form["token"][0] not in self.opaque:
                    self.answers_strangers.wait(30)
                return self.opaque.get(form["token"][0], {"active": False})
            case _:
                return None


@contextmanager
def running_provider() -> Generator[Provider]:
    """A provider that answers until the block ends."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.requests.append(self.path)
            provider.answers.wait(30)
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            body = provider.answer(self.path, parse_qs(raw.decode())) if provider.status == 200 else {}
            content = json.dumps(body or {}).encode()
            self.send_response(provider.status if body is not None else 404)
            self.send_header("content-length", str(len(content)))
            with contextlib.suppress(OSError):  # whoever asked has gone
                self.end_headers()
                self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield provider
        finally:
            provider.answers.set()
            server.shutdown()
            thread.join()


class MovedClock(SystemClock):
    """The machine's clock, which a test may move on, and set wrong."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.days_wrong = 0.0

    def now(self) -> float:
        return super().now() + self.ahead + 86_400 * self.days_wrong

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def pass_cooldown(self) -> None:
        self.ahead += COOLDOWN_SECONDS + 0.1

    def pass_freshness(self) -> None:
        self.ahead += FRESH_SECONDS + 0.1


def signed_in(provider: Provider, **more: Any) -> Settings:
    """Settings for sign-in with a provider; the gateway is away unless ``more`` says where it is."""
    values: dict[str, Any] = {
        "api_key": "sk-operator-0123456789",
        "base_url": "http://127.0.0.1:9",
        "files_url": "http://127.0.0.1:9",
        "oauth_issuer": provider.issuer,
        **more,
    }
    return Settings(**values)
