"""Thirty hostile tokens: each is refused in the right form, before a body is read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.types import Message

from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from tests.provider import AUDIENCE, RESOURCE, Provider, new_key, public_jwk, running_provider, signed_in

NOW = int(time.time())
HOUR = 3600


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        running.keys["rsa"] = new_key("RSA")
        running.keys["weak"] = rsa.generate_private_key(65537, 1024)
        yield running


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(provider: Provider, algorithm: object, signature: bytes = b"") -> str:
    return f"{part({'alg': algorithm, 'kid': 'first'})}.{part(provider.claims())}.{part(signature)}"


def with_public_key_as_secret(provider: Provider, kid: str) -> str:
    pem = provider.keys[kid].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = f"{part({'alg': 'HS256', 'kid': kid})}.{part(provider.claims())}"
    return f"{head}.{part(hmac.digest(pem, head.encode(), 'sha256'))}"


def by_a_stranger(provider: Provider, kid: str = "first", **headers: Any) -> str:
    return jwt.encode(provider.claims(), new_key(), "ES256", headers={"kid": kid, **headers})


def by_a_weak_key(provider: Provider) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return provider.token("weak")


def with_own_key(provider: Provider) -> str:
    key = new_key()
    return jwt.encode(provider.claims(), key, "ES256", headers={"jwk": public_jwk(key, "mine"), "kid": "mine"})


def changed(provider: Provider) -> str:
    head, _, signature = provider.token().split(".")
    return f"{head}.{part(provider.claims(sub='the-boss'))}.{signature}"


def encrypted(provider: Provider) -> str:
    return f"{part({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.{part(b'k')}.{part(b'iv')}.{part(b'text')}.{part(b'tag')}"


def with_duplicates(provider: Provider) -> str:
    head, _, signature = provider.token(aud="https://else.example.com").split(".")
    body = json.dumps(provider.claims()).encode()[:-1] + b', "aud": "https://else.example.com"}'
    return f"{head}.{part(body)}.{signature}"


HOSTILE: dict[str, Callable[[Provider], str]] = {
    "alg none": lambda p: unsigned(p, "none"),
    "alg None": lambda p: unsigned(p, "None"),
    "no alg": lambda p: unsigned(p, None),
    "alg that is a list": lambda p: unsigned(p, ["ES256"]),
    "no signature": lambda p: unsigned(p, "ES256"),
    "signature of zeros": lambda p: unsigned(p, "ES256", bytes(64)),
    "HS256 with the public key": lambda p: with_public_key_as_secret(p, "first"),
    "HS256 with the public RSA key": lambda p: with_public_key_as_secret(p, "rsa"),
    "RS256 named for an EC key": lambda p: unsigned(p, "RS256", bytes(256)),
    "unknown kid": lambda p: by_a_stranger(p, "unknown"),
    "known kid, another key": by_a_stranger,
    "kid that is a path": lambda p: by_a_stranger(p, "../../dev/null"),
    "kid that is SQL": lambda p: by_a_stranger(p, "' UNION SELECT 'x"),
    "a key of its own in the header": with_own_key,
    "the address of a key in the header": lambda p: by_a_stranger(p, "x", jku=f"{p.issuer}/keys"),
    "certificates in the header": lambda p: by_a_stranger(p, "x", x5c=["AAAA"]),
    "a weak RSA key": by_a_weak_key,
    "expired": lambda p: p.token(exp=NOW - HOUR),
    "not valid yet": lambda p: p.token(nbf=NOW + HOUR),
    "issued in the future": lambda p: p.token(iat=NOW + HOUR),
    "no end": lambda p: p.token(exp=None),
    "an end that is text": lambda p: p.token(exp="never"),
    "an end beyond all numbers": lambda p: p.token(exp=float("inf")),
    "an end of 400 digits": lambda p: p.token(exp=int("9" * 400)),
    "another audience": lambda p: p.token(aud="https://else.example.com/mcp"),
    "no audience": lambda p: p.token(aud=None),
    "an audience that begins alike": lambda p: p.token(aud=f"{AUDIENCE}.evil.org"),
    "another issuer": lambda p: p.token(iss="https://else.example.com"),
    "an issuer that begins alike": lambda p: p.token(iss=f"{p.issuer}/"),
    "nobody": lambda p: p.token(sub=None),
    "a subject without characters": lambda p: p.token(sub=""),
    "a subject without end": lambda p: p.token(sub="a" * 300),
    "no scope": lambda p: p.token(scope=None),
    "a scope that begins alike": lambda p: p.token(scope="media-lists"),
    "changed claims": changed,
    "claims twice": with_duplicates,
    "huge": lambda p: p.token(groups=["g" * 100] * 150),
    "encrypted": encrypted,
    "nested": lambda p: p.token(headers={"cty": "JWT"}),
    "critical header": lambda p: p.token(headers={"crit": ["b64"], "b64": True}),
    "no JSON": lambda p: f"{part(b'x')}.{part(b'y')}.{part(b'z')}",
    "deep JSON": lambda p: f"{part(b'[' * 5000)}.{part(b'{}')}.{part(b'')}",
    "empty parts": lambda _: "..",
    "an EvoLink key": lambda _: "sk-" + hashlib.sha256(b"x").hexdigest(),
}


async def ask(application: HttpApplication, token: str, path: str) -> tuple[int, dict[str, str], bool]:
    """Status and headers of the answer to a POST, and whether its body was read."""
    read, answers = False, list[Message]()

    async def receive() -> Message:
        nonlocal read
        read = True
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        answers.append(message)

    headers = [(b"host", b"mcp.example.com"), (b"authorization", b"Bearer " + token.encode())]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    with anyio.fail_after(60):
        await application({**scope, "client": ("127.0.0.1", 1), "http_version": "1.1"}, receive, send)
    start = answers[0]
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, read


async def test_hostile_tokens_are_refused_before_a_body_is_read(provider: Provider) -> None:
    settings = signed_in(provider, oauth_scopes=("media",))
    application = HttpApplication(settings, HttpOptions(auth="oauth", public_url=RESOURCE))
    assert application.resource is not None
    wrong: dict[str, object] = {}
    for name, make in HOSTILE.items():
        for path in ("/mcp", "/messages/"):
            status, headers, read = await ask(application, make(provider), path)
            expected, error = (403, "insufficient_scope") if "scope" in name else (401, "invalid_token")
            challenge = headers.get("www-authenticate", "")
            form = f'error="{error}"' in challenge and "resource_metadata=" in challenge
            if status != expected or read or not form:
                wrong[f"{name} at {path}"] = (status, read, challenge)
    await application.resource.provider.aclose()
    await application.app.aclose(0)
    assert not wrong
    assert len(HOSTILE) >= 30
