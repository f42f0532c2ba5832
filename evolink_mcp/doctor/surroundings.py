"""Checks of what the environment says about the network: certificates and proxies. Nothing is asked."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import httpx2

from evolink_mcp.doctor.report import Check
from evolink_mcp.gateway import certificates
from evolink_mcp.settings.readers import without_login

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
HTTP_SCHEMES = ("http", "https")
SOCKS_SCHEMES = ("socks5", "socks5h")
IGNORED_BUNDLES = ("NODE_EXTRA_CA_CERTS",)  # of other programs


def certificate_checks(env: Mapping[str, str]) -> Iterator[Check]:
    """The certificates that the environment names in place of the system's."""
    if problem := certificates.certificate_problem(env):
        name = problem.split()[0]
        yield Check("certificates", "wrong", problem, f"Correct {name} or unset it; no host can be reached like this.")
        return
    name = next((each for each in certificates.VARIABLES if env.get(each)), "")
    other = next((each for each in IGNORED_BUNDLES if env.get(each)), "")
    if name:
        yield Check("certificates", "ok", f"those of {name}: {env[name]}")
    elif other:
        text = f"{other} is set, and only {', '.join(certificates.VARIABLES)} are read here"
        yield Check("certificates", "note", text, f"If hosts cannot be reached, set SSL_CERT_FILE to {env[other]}.")


def proxy_checks(env: Mapping[str, str]) -> Iterator[Check]:
    """The proxies that requests to the gateway go through. No password is shown."""
    for name in PROXIES:
        value = env.get(name.lower()) or env.get(name, "")
        if not value:
            continue
        problem, shown = _proxy_problem(value), without_login(value)
        if problem:
            yield Check("proxy", "wrong", f"{name} is {shown}: {problem}", f"Correct {name} or unset it.")
        else:
            yield Check("proxy", "ok", f"{name} is {shown}")
    exempt = env.get("no_proxy") or env.get("NO_PROXY", "")
    if exempt and any(env.get(name) or env.get(name.lower()) for name in PROXIES):
        yield Check("proxy", "ok", f"NO_PROXY is {exempt}; hosts on this machine are always exempt")


def _proxy_problem(value: str) -> str:
    url = value if "://" in value else f"http://{value}"  # as the HTTP client reads it
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # raises where the port is no number
        if parts.scheme in HTTP_SCHEMES and host:
            httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        return "it is not a URL"
    if not host:
        return "it names no host"
    if parts.scheme in SOCKS_SCHEMES:
        missing = importlib.util.find_spec("socksio") is None
        return "a SOCKS proxy needs a package: pip install 'httpx2[socks]'" if missing else ""
    known = (*HTTP_SCHEMES, *SOCKS_SCHEMES)
    return "" if parts.scheme in HTTP_SCHEMES else f"its scheme is none of {', '.join(known)}"
