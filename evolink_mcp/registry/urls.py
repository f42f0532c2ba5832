"""The form of a link. Whether it may be followed, and where it leads, is judged elsewhere (``guard``)."""

import re
from urllib.parse import urlsplit

from evolink_mcp.registry.bounds import MAX_LINK_CHARACTERS

_SPACE = re.compile(r"\s")


def link_fault(value: str, forms: tuple[str, ...] = ("url",), *, callback: bool = False) -> str | None:
    """What keeps a text from being a link of one of these forms, in words; None when it is one.

    A link that is called back is https (S4).
    """
    if "base64" in forms or ("data" in forms and value[:5].lower() == "data:"):
        return None
    if len(value) > MAX_LINK_CHARACTERS:
        return f"must be a link of at most {MAX_LINK_CHARACTERS:,} characters"
    schemes = ("https",) if callback else ("http", "https")
    if _scheme(value) in schemes and not _SPACE.search(value):
        return None
    if callback:
        return "must be an https link"
    if value[:5].lower() == "data:":
        return "must be an http or https link: give base64 data to upload_file, and its file_url here"
    return "must be an http or https link" + (" or a data URL" if "data" in forms else "")


def _scheme(value: str) -> str:
    """The scheme of a link that names a host; empty where it is no link."""
    try:
        parts = urlsplit(value)
        return parts.scheme.lower() if parts.hostname and parts.port != 0 else ""  # reading the port checks it
    except ValueError:
        return ""
