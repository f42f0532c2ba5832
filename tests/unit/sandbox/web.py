"""Another server on this machine, and the envelope of a refusal."""

from __future__ import annotations

import http.server

import httpx2

from tests.unit.sandbox.lab import Answer, png

BASE64, STREAM, URL = (f"/api/v1/files/upload/{way}" for way in ("base64", "stream", "url"))


def code(response: httpx2.Response) -> int:
    """The envelope's code of a refusal."""
    body: Answer = response.json()
    assert body["success"] is False
    assert body["data"] is None
    return int(body["code"])


class Web(http.server.BaseHTTPRequestHandler):
    """Another server on this machine, to upload from."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("location", "/kite.png")
            self.end_headers()
        elif self.path == "/broken":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            while True:  # until the other side has had enough
                self.wfile.write(bytes(10_000))
        else:
            more = int(self.path.rpartition("/")[2]) if self.path.startswith("/size/") else 0
            self.send_response(200 if self.path != "/missing" else 404)
            self.end_headers()
            self.wfile.write(png() + bytes(more))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: test output is not for it."""
