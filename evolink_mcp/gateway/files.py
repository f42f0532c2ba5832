"""The files API: three uploads, list, quota, delete (S1).

Its envelope ``{success, code, msg, data}`` can report a failure inside HTTP 200.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from evolink_mcp.errors import GatewayError, GatewayRefused
from evolink_mcp.gateway import problems, routes, wire
from evolink_mcp.gateway.replies import Reply, error_from
from evolink_mcp.gateway.transport import Caller
from evolink_mcp.gateway.values import as_list, as_object, as_whole
from evolink_mcp.guard.aside import in_slices


@dataclass(frozen=True)
class Form:
    """What goes with a file: its name, its type, and ``upload_path`` and ``file_name`` where set."""

    name: str
    mime_type: str
    names: Mapping[str, str] = field(default_factory=dict[str, str])


PART_CHARACTERS = 1024**2  # of a long text, made JSON at a time
MAX_LISTED = 500  # files of one answer that are read; we ask for fewer


async def upload_base64(caller: Caller, data: str, names: dict[str, str], *, seconds: float) -> wire.StoredFile:
    """Stores base64 data (raw or a data URL). ``names`` holds ``upload_path`` and ``file_name`` where set."""
    begin = json.dumps(names)[:-1] + (", " if names else "")
    places = in_slices(range(0, len(data), PART_CHARACTERS))
    text = [json.dumps(data[at : at + PART_CHARACTERS])[1:-1].encode() async for at in places]
    parts = [f'{begin}"base64_data": "'.encode(), *text, b'"}']

    async def body() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    headers = {"content-type": "application/json", "content-length": str(sum(map(len, parts)))}
    return await _upload(caller, "base64", seconds, content=body(), headers=headers)


async def upload_url(caller: Caller, url: str, names: dict[str, str], *, seconds: float) -> wire.StoredFile:
    """Has the gateway fetch a public link and store what it finds."""
    return await _upload(caller, "url", seconds, json={"file_url": url, **names})


async def upload_parts(
    caller: Caller, parts: AsyncIterator[bytes], size: int, form: Form, *, seconds: float
) -> wire.StoredFile:
    """Stores ``size`` bytes that arrive in parts, each sent on before the next is taken."""
    boundary = secrets.token_hex(16)
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form.names.items()
    )
    name = form.name.replace('"', "%22")
    head = (
        f'{fields}--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {form.mime_type}\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()

    async def body() -> AsyncIterator[bytes]:
        yield head
        async for part in parts:
            yield part
        yield tail

    headers = {
        "content-type": f"multipart/form-data; boundary={boundary}",
        "content-length": str(len(head) + size + len(tail)),
    }
    return await _upload(caller, "stream", seconds, content=body(), headers=headers)


async def list_files(
    caller: Caller, *, page: int, page_size: int, seconds: float
) -> tuple[list[wire.StoredFile], int | None]:
    """One page of the stored files, and how many there are in all."""
    params = {"page": str(page), "pageSize": str(page_size)}
    data = as_object(await _data(caller, "GET", routes.FILES, "listing the files", seconds, params=params))
    listed = [wire.parse_file(each) async for each in in_slices(as_list(data.get("files"))[:MAX_LISTED])]
    return [file for file in listed if file is not None], as_whole(data.get("total"))


async def quota(caller: Caller, *, seconds: float) -> wire.Quota:
    """How many files may be stored, and how many are."""
    return wire.parse_quota(await _data(caller, "GET", routes.QUOTA, "reading the quota", seconds))


async def delete_file(caller: Caller, file_id: str, *, seconds: float) -> bool:
    """Deletes one file; ``False`` where the files API has none of that id. The id is encoded into the path."""
    url = caller.transport.files_url + routes.FILE.format(id=quote(file_id, safe=""))
    reply = await caller.ask("DELETE", url, seconds=seconds)
    problem = wire.parse_problem(reply.body)
    # A page that is no JSON comes from somebody else: it says nothing of the file.
    if reply.is_json and (reply.status == 404 or (problem is not None and problem.code == "404")):
        return False
    if not _succeeded(reply):
        raise _failure(reply, "deleting the file")
    return True


async def _upload(caller: Caller, how: str, seconds: float, **content: Any) -> wire.StoredFile:
    url = caller.transport.files_url + routes.UPLOADS[how]
    reply = await caller.ask("POST", url, seconds=seconds, **content)
    if not _succeeded(reply):
        raise _failure(reply, "uploading the file", stores=True)
    file = wire.parse_file(as_object(reply.body).get("data"))
    if file is None:
        raise GatewayError(
            "The files API answered an upload without a file id.",
            code="no_file_id",
            next_step="See list_files before uploading again: the file may be there.",
        )
    return file


async def _data(caller: Caller, method: str, route: str, doing: str, seconds: float, **content: Any) -> object:
    """The ``data`` of a successful envelope.

    Raises:
        GatewayError: For a failed request, and for a failure told inside HTTP 200.
    """
    reply = await caller.ask(method, caller.transport.files_url + route, seconds=seconds, **content)
    if _succeeded(reply):
        return as_object(reply.body).get("data")
    raise _failure(reply, doing)


def _succeeded(reply: Reply) -> bool:
    body = as_object(reply.body)
    return reply.ok and body.get("success") is not False and wire.parse_problem(body) is None


def _failure(reply: Reply, doing: str, *, stores: bool = False) -> GatewayError:
    """The error of a reply; where it ``stores`` something, only a plain refusal is one."""
    problem = wire.parse_problem(reply.body)
    code = as_whole(problem.code) if problem else None
    advice = problems.FILE_ADVICE.get(code or 0)
    if problem is None or advice is None:
        return error_from(reply, doing=doing, paid=stores)
    return GatewayRefused(
        f"{reply.host} refused when {doing}: {(problem.message or advice.meaning).rstrip('.')}.",
        status=reply.status,
        code=problem.code,
        next_step=advice.resolution,
        request_id=reply.request_id or problem.request_id,
    )
