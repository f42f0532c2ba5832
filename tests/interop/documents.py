"""A client's metadata document, over https with a certificate of an authority of our own."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme


@dataclass
class Document:
    """Where it stands, who vouches for it, and how often it was read."""

    url: str
    authority: Path
    reads: list[str] = field(default_factory=list[str])


@contextmanager
def published_client(folder: Path, redirect: str) -> Generator[Document]:
    """A public client that makes itself known by an address, as claude.ai and VS Code do, until the block ends."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    authority.cert_pem.write_to_path(folder / "authority.pem")
    document = Document("", folder / "authority.pem")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document.reads.append(self.path)
            content = json.dumps(
                {
                    "client_id": document.url,
                    "client_name": "interop",
                    "application_type": "native",
                    "redirect_uris": [redirect],
                    "grant_types": ["authorization_code", "refresh_token"],
                    "response_types": ["code"],
                    "token_endpoint_auth_method": "none",
                }
            ).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        document.url = f"https://localhost:{server.server_address[1]}/client.json"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield document
        finally:
            server.shutdown()
            thread.join()
