"""Hosts that people use sign in by themselves: told the address alone, they find the provider and keep its token."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.interop import software
from tests.interop.signing_in import browse, running_provider, running_server
from tests.support import Sandbox

pytestmark = pytest.mark.xdist_group("sign-in")
PAGE = re.compile(r"(http://127\.0\.0\.1:\d+/auth\?[^\s\x07\x1b]+)[\s\x07\x1b]")


@pytest.fixture(scope="module")
def server(running_sandbox: Sandbox) -> Iterator[str]:
    """Its provider has clients register: the documents of these hosts stand on the network."""
    with running_provider(documents=False) as issuer, running_server(running_sandbox, issuer) as url:
        yield url


async def sign_in(command: list[str], env: dict[str, str]) -> None:
    """Runs a host's log-in in a terminal, which some insist on, with somebody at the browser that it would open."""
    ours, theirs = pty.openpty()
    text = ""
    try:
        process = await anyio.open_process(
            command, env=env, cwd=env["HOME"], stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        async with process, httpx2.AsyncClient(trust_env=False) as http:
            with anyio.fail_after(90):
                while (match := PAGE.search(text)) is None:
                    text += await read(ours)
                assert (await http.get(await browse(match[1], "alice"))).status_code == 200
                while more := await read(ours):
                    text += more
                assert await process.wait() == 0, text
    finally:
        os.close(ours)


async def read(terminal: int) -> str:
    """What a program wrote to a terminal; "" where it has ended."""
    await anyio.wait_readable(terminal)
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # nobody has the other end
        return ""


def environment(home: Path) -> dict[str, str]:
    path = f"{software.node().parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "CODEX_HOME": str(home), "BROWSER": "true"}


async def test_codex_signs_in(server: str, tmp_path: Path) -> None:
    codex, env = str(software.program("@openai/codex", "codex")), environment(tmp_path)
    settings = f'mcp_oauth_credentials_store = "file"\n[mcp_servers.evolink]\nurl = "{server}/mcp"\n'
    (tmp_path / "config.toml").write_text(settings, encoding="utf-8")
    await sign_in([codex, "mcp", "login", "evolink"], env)
    listing = await anyio.run_process([codex, "mcp", "list"], env=env)
    assert re.search(r"evolink .* OAuth\b", listing.stdout.decode())


async def test_claude_code_signs_in_and_connects(server: str, tmp_path: Path) -> None:
    claude, env = str(software.program("@anthropic-ai/claude-code", "claude")), environment(tmp_path)
    await anyio.run_process(
        [claude, "mcp", "add", "--transport", "http", "evolink", f"{server}/mcp"], env=env, cwd=tmp_path
    )
    before = await anyio.run_process([claude, "mcp", "list"], env=env, cwd=tmp_path)
    assert "Needs authentication" in before.stdout.decode()
    await sign_in([claude, "mcp", "login", "evolink"], env)
    after = await anyio.run_process([claude, "mcp", "list"], env=env, cwd=tmp_path)
    assert "Connected" in after.stdout.decode()
