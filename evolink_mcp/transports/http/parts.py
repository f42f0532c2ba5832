"""A kept result as an answer: all of it, or the part that was asked for (RFC 9110, section 14)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from evolink_mcp.media.shelf import Copy, OpenCopy

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


def answer_in_parts(opened: OpenCopy, request: Request, headers: Mapping[str, str]) -> Response:
    """What answers a ``GET`` or ``HEAD``. Of several parts at once all is given, as it may be."""
    copy = opened.copy
    headers = {
        **headers,
        "content-type": copy.mime_type,
        "content-disposition": f'inline; filename="{copy.name}"',
        "accept-ranges": "bytes",
        "etag": _tag(copy),
        "last-modified": formatdate(copy.modified, usegmt=True),
    }
    part = _part_of(request, headers, copy.size)
    if part is None:
        start, end, status = 0, copy.size, 200
    else:
        start, end = part
        if start >= end:
            return Response(status_code=416, headers={**headers, "content-range": f"bytes */{copy.size}"})
        status, headers["content-range"] = 206, f"bytes {start}-{end - 1}/{copy.size}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(opened.read(start, end), status, headers)


def _part_of(request: Request, headers: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """The part that is asked for, from where to before where; ``None`` for all. Of an empty one nothing is there."""
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    known = (None, headers["etag"], headers["last-modified"])
    if match is None or not (match[1] or match[2]) or request.headers.get("if-range") not in known:
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    start, last = int(match[1]), int(match[2]) if match[2] else size
    return None if match[2] and last < start else (start, min(last + 1, size))


def _tag(copy: Copy) -> str:
    return f'"{hashlib.sha256(f"{copy.name}-{copy.modified}-{copy.size}".encode()).hexdigest()[:32]}"'
