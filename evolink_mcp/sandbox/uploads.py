"""The files API: three ways in, the list, the quota, the way out."""

from __future__ import annotations

import base64
import binascii
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import anyio
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from evolink_mcp.sandbox.fetch import copy, fetch
from evolink_mcp.sandbox.files import MAX_FILE_BYTES, Incoming, clean_folder, clean_name, too_large
from evolink_mcp.sandbox.state import account, base_url, sandbox_of
from evolink_mcp.sandbox.wire import MIB, Json, Refusal, read_object, whole_number

MOST_ON_PAGE = 100  # S1


def _success(data: object) -> Response:
    return JSONResponse({"success": True, "code": 200, "msg": "success", "data": data})


async def upload_base64(request: Request) -> Response:
    """JSON ``base64_data``: bare, or as a data URL whose own media type counts for nothing."""
    sandbox, _ = sandbox_of(request), account(request)  # a missing key is refused before a byte is read
    body = await read_object(request, MAX_FILE_BYTES * 4 // 3 + MIB, too_large=too_large())
    text = _required(body, "base64_data")
    path = sandbox.folder.new(".upload")
    try:
        data = base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "base64_data is not valid base64") from None
    await anyio.Path(path).write_bytes(data)
    return _keep(request, path, len(data), "", body)


async def upload_stream(request: Request) -> Response:
    """Multipart: the field ``file``, spooled to disk as it comes in, never whole in memory."""
    sandbox, _ = sandbox_of(request), account(request)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refusal(400, "The request body has to be multipart/form-data")
    try:
        form = await MultiPartParser(request.headers, _bounded(request), max_files=1, max_fields=20).parse()
    except MultiPartException as problem:
        raise Refusal(400, problem.message) from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refusal(400, "the field file is required")
        path = sandbox.folder.new(".upload")
        await anyio.to_thread.run_sync(_spool, file.file, path)
        texts: Json = {name: value for name, value in form.items() if isinstance(value, str)}
        return _keep(request, path, path.stat().st_size, file.filename or "", texts)
    finally:
        await form.close()


async def upload_url(request: Request) -> Response:
    """JSON ``file_url``: one of the sandbox's own links, or another address on this machine."""
    sandbox, _ = sandbox_of(request), account(request)  # a missing key is refused before a byte is read
    body = await read_object(request, MIB)
    url = _required(body, "file_url")
    path = sandbox.folder.new(".upload")
    own = sandbox.locate(request, url)
    try:
        size = await copy(own, path) if own is not None else await fetch(url, path)
    except Refusal:
        path.unlink(missing_ok=True)
        raise
    return _keep(request, path, size, unquote(urlsplit(url).path), body)


async def list_files(request: Request) -> Response:
    """Newest first. The page size is ``pageSize`` on the wire."""
    sandbox, owner = sandbox_of(request), account(request)
    page = whole_number(request, "page", 1, 1_000_000)
    size = whole_number(request, "pageSize", 20, MOST_ON_PAGE)
    files = sandbox.files.of(owner, sandbox.clock.now())[::-1]
    shown = files[(page - 1) * size : page * size]
    return _success({"total": len(files), "files": [file.line() for file in shown]})


async def read_quota(request: Request) -> Response:
    sandbox, owner = sandbox_of(request), account(request)
    used, most = len(sandbox.files.of(owner, sandbox.clock.now())), sandbox.config.max_files
    return _success(
        {"user_group": "default", "used_files": used, "max_files": most, "remain_files": max(0, most - used)}
    )


async def delete_file(request: Request) -> Response:
    sandbox, owner = sandbox_of(request), account(request)
    sandbox.files.delete(str(request.path_params["file_id"]), owner, sandbox.clock.now())
    return _success(None)


def _keep(request: Request, path: Path, size: int, original: str, fields: Json) -> Response:
    """Accept what lies at ``path``, or remove it and say why not."""
    sandbox, owner = sandbox_of(request), account(request)
    try:
        folder = clean_folder(_either(fields, "upload_path", "uploadPath"))
        name = clean_name(_either(fields, "file_name", "fileName"))
        incoming = Incoming(path, size, clean_name(original), folder, name)
        config = sandbox.config
        file = sandbox.files.accept(incoming, owner, sandbox.clock.now(), config.file_seconds, config.max_files)
    except Refusal:
        path.unlink(missing_ok=True)
        raise
    return _success(file.view(base_url(request)))


def _required(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal(400, f"{name} is required", param=name)
    return value


def _either(fields: Json, *names: str) -> str:
    """The first of several spellings that is given; both are seen in clients."""
    value = next((fields[name] for name in names if fields.get(name) is not None), "")
    if not isinstance(value, str):
        raise Refusal(400, f"{names[0]} has to be a string", param=names[0])
    return value


async def _bounded(request: Request) -> AsyncGenerator[bytes, None]:
    """The request body up to the size limit.

    Raises:
        Refusal: 40001 past it, with the body read to its end.
    """
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        # The form around the file is small, but not nothing.
        if size <= MAX_FILE_BYTES + MIB:
            yield chunk
    if size > MAX_FILE_BYTES + MIB:
        raise too_large()


def _spool(source: BinaryIO, target: Path) -> None:
    with target.open("wb") as stream:
        shutil.copyfileobj(source, stream)
