"""The last requests, as they came in, without their secrets."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from evolink_mcp.sandbox.wire import Json

MOST_REQUESTS = 1000
MOST_BODY_BYTES = 256 * 1024  # of a JSON body; a longer one is counted and dropped

_TRACE = ("baggage", "traceparent", "tracestate")
_HEADERS = ("accept", "content-type", "content-length", "host", "range", "user-agent", *_TRACE)
_HEADER_PREFIXES = ("x-evo-", "idempotency-")
_SECRET_QUERY = ("key", "api_key", "token")


@dataclass(slots=True)
class Entry:
    """One request. The body is filled in as it arrives."""

    view: Json
    body: bytearray
    size: int = 0

    def add(self, chunk: bytes, *, last: bool) -> None:
        self.size += len(chunk)
        if self.size <= MOST_BODY_BYTES:
            self.body += chunk
        else:
            self.body.clear()
        if last and self.size:
            self.view["body_bytes"] = self.size
            self._read()

    def _read(self) -> None:
        headers = cast("Json", self.view["headers"])
        if "json" not in str(headers.get("content-type", "")) or not self.body:
            return
        try:
            self.view["json"] = json.loads(self.body)
        except (ValueError, RecursionError):
            self.view["json"] = None
        self.body.clear()


class Recorder:
    """A bounded list of requests, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=MOST_REQUESTS)

    def watch(self, scope: Scope, receive: Receive, now: float, key: str | None) -> Receive:
        """Record a request; its body is noted while the returned channel is read."""
        entry = Entry(_view(scope, now, key), bytearray())
        self._entries.append(entry)

        async def record() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                entry.add(message.get("body", b""), last=not message.get("more_body", False))
            return message

        return record

    def views(self) -> list[Json]:
        return [entry.view for entry in self._entries]

    def clear(self) -> None:
        self._entries.clear()


def _view(scope: Scope, now: float, key: str | None) -> Json:
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    headers: Json = {
        name: value
        for name, value in Headers(scope=scope).items()
        if name in _HEADERS or name.startswith(_HEADER_PREFIXES)
    }
    return {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("latin-1"),
        "query": {name: "…" if name in _SECRET_QUERY else value for name, value in query},
        "headers": {**headers, "authorization": "authorization" in Headers(scope=scope)},
        "key": key,
        "time": now,
    }
