"""Whose certificates are trusted: the system's, or those that the environment names for a company's proxy."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

# The first of these that is set replaces the system's certificates. The HTTP client reads those of OpenSSL itself; the
# others are what requests and curl read, and what companies tell people to set.
OPENSSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
VARIABLES = (*OPENSSL, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
KEY_LOG = "SSLKEYLOGFILE"
_HASHED = re.compile(r"[0-9a-fA-F]{8}\.\d+")  # how OpenSSL finds a certificate in a folder


def certificate_problem(environ: Mapping[str, str] = os.environ) -> str:
    """A sentence that begins with the variable by which no certificate can be loaded; "" where all is well."""
    name = _variable(environ)
    if not name:
        return ""
    if problem := _key_log_problem(environ):
        return problem
    value = environ[name]
    shown = f"{name} names {value[:200]}"
    try:
        if name == "SSL_CERT_DIR" or (name not in OPENSSL and Path(value).is_dir()):
            hashed = any(_HASHED.fullmatch(file) for file in os.listdir(value))
            return "" if hashed else f"{shown}, which holds no certificates under their hashes (see openssl rehash)."
        if Path(value).exists() and not Path(value).is_file():
            return f"{shown}, which is not a file."  # a pipe would be waited for, with everybody who waits for us
        ssl.create_default_context(cafile=value)
    except ssl.SSLError:
        return f"{shown}, which holds no certificates."
    except (OSError, ValueError) as error:
        return f"{shown}, which cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})."
    return ""


def _key_log_problem(environ: Mapping[str, str]) -> str:
    """What is wrong with the file in which Python, where it reads certificates of ours, has OpenSSL log its keys."""
    path = environ.get(KEY_LOG)
    if not path:
        return ""
    shown = f"{KEY_LOG} names {path[:200]}"
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            return f"{shown}, which is not a file."
        place = path if os.path.exists(path) else os.path.dirname(path) or "."
        return "" if os.access(place, os.W_OK) else f"{shown}, which cannot be written."
    except ValueError:  # it holds what no path does
        return f"{shown}, which is not a file."


def trusted(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext | bool:
    """What the HTTP client takes as ``verify``; true where it finds the certificates by itself."""
    name = _variable(environ)
    if not name or name in OPENSSL:
        return True
    path = environ[name]
    folder = Path(path).is_dir()
    return ssl.create_default_context(cafile=None if folder else path, capath=path if folder else None)


def advice(environ: Mapping[str, str] = os.environ) -> str:
    """What to do where a certificate is not trusted."""
    name = _variable(environ)
    if name:
        return f"{name} names {environ[name][:200]}: it has to hold the certificate of that network's proxy too."
    return "If so, set SSL_CERT_FILE to a file with its certificate in this server's environment."


def _variable(environ: Mapping[str, str]) -> str:
    return next((name for name in VARIABLES if environ.get(name)), "")
