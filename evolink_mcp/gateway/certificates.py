"""Whose certificates are trusted: the system's, or those that the environment names for a company's proxy."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

# The HTTP client reads the first of these that is set. Each replaces the system's certificates.
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def certificate_problem(environ: Mapping[str, str] = os.environ) -> str:
    """A sentence that names the variable by which no certificate can be loaded; "" where all is well."""
    name = next((each for each in VARIABLES if environ.get(each)), "")
    value = environ.get(name, "")
    if name == "SSL_CERT_DIR":
        return "" if os.path.isdir(value) else f"SSL_CERT_DIR names {value[:200]}, which is no folder."
    if not name:
        return ""
    try:
        ssl.create_default_context(cafile=value)
    except ssl.SSLError:
        return f"SSL_CERT_FILE names {value[:200]}, which holds no certificates."
    except OSError as error:
        return f"SSL_CERT_FILE names {value[:200]}, which cannot be read ({error.strerror})."
    return ""
