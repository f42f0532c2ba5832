"""Whose keys the sandbox saw."""

from __future__ import annotations

import httpx2

from tests.serving import bearer
from tests.support import Sandbox

ALICE, BOB = "sk-alice-0123456789", "sk-bob-0123456789"


PROCESS_KEY = "sk-process-0123456789"


def key_hashes(sandbox: Sandbox) -> set[str | None]:
    """Whose keys the sandbox saw. The look of /ready, the public prices and links of results carry none."""
    return {request["key"] for request in sandbox.requests() if not _is_public(request["path"])}


def _is_public(path: str) -> bool:
    return path == "/" or path.startswith("/results/") or path.endswith(("/pricing-rules", "/pricing"))


def as_sandbox_sees(sandbox: Sandbox, key: str) -> str:
    """The hash under which the sandbox keeps a key."""
    httpx2.get(f"{sandbox.url}/v1/credits", headers=bearer(key), trust_env=False)
    return sandbox.requests("/v1/credits")[-1]["key"]
