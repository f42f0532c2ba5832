"""The nearest name to one that is not there is shown so that it can be sent back, whatever bytes it is made of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mcp.client import Client

from evolink_mcp.settings import Settings
from tests.support import ok, png, refused


@pytest.mark.parametrize("name", [b"caf\xe9 one.png", "cat\u202eone.png".encode(), b"cat\x07 one.png"])
async def test_a_name_that_no_answer_can_hold_is_shown_as_a_link_that_works(
    client: Client, settings: Settings, name: bytes
) -> None:
    folder = os.fsencode(settings.upload_dirs[0])
    path = Path(os.fsdecode(folder + b"/" + name))
    path.write_bytes(png())
    wrong = f"{settings.upload_dirs[0]}/{'cafe' if name.startswith(b'caf') else 'cats'} onne.png"
    text = await refused(client, "upload_file", file_path=wrong)
    (link,) = [word.strip("?.,'\"()") for word in text.split() if word.strip("?.,'\"()").startswith("file:")]
    assert (await ok(client, "upload_file", file_path=link))["file_id"]
