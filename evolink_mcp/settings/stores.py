"""The address of the store that replicas share.

What is wrong with it is said without showing it: it may hold a password.
"""

from __future__ import annotations

import codecs
import importlib.util
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from evolink_mcp.settings.placeholders import Unfilled, unfilled_secret

SCHEMES = ("redis", "rediss", "valkey", "valkeys")


def read_state_url(value: str, _environ: Mapping[str, str]) -> str:
    """The address, as it was written."""
    if placeholder := unfilled_secret(value):
        raise Unfilled(placeholder, whole=placeholder == value)
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port  # raises where the port is no number
    except ValueError:
        raise ValueError("is not a URL.") from None
    if parts.scheme not in SCHEMES or not host:
        raise ValueError(f"must be a URL like redis://host:6379/0 (schemes: {', '.join(SCHEMES)}).")
    if not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        raise ValueError("must name the database by its number (redis://host:6379/0).")
    if importlib.util.find_spec("redis") is None:
        raise ValueError("needs the redis extra, which is not installed: pip install 'evolink-mcp[redis]'.")
    if parts.query and not _takes_options(value):
        raise ValueError("has options behind the ? that the store's client cannot use.")
    return value


def _takes_options(url: str) -> bool:
    """Whether the store's client can be made with the options in an address. Nothing is asked."""
    from redis.asyncio import BlockingConnectionPool
    from redis.exceptions import RedisError

    pool: Any = BlockingConnectionPool
    try:
        made = pool.from_url(url.replace("valkey", "redis", 1) if url.startswith("valkey") else url)
        codecs.lookup(made.make_connection().encoder.encoding)
    except (AttributeError, LookupError, RedisError, TypeError, ValueError):
        return False
    return True
