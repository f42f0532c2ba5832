"""Opening a file below allowed folders."""

from __future__ import annotations

from pathlib import Path

from evolink_mcp.guard.paths import open_allowed

SECRET = b"-----BEGIN PRIVATE KEY-----"


def opened(path: object, *folders: Path, most: int = 100) -> tuple[bytes, Path, int]:
    file, real, size = open_allowed(str(path), folders, max_bytes=most)
    with file:
        return file.read(), real, size


def handles() -> int:
    where = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    return len(list(where.iterdir()))
