"""upload_file, list_files and delete_file."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import anyio.to_thread
from pydantic import Field

from evolink_mcp.errors import GatewayError, Refused
from evolink_mcp.sdk.arguments import AtMost, LongText
from evolink_mcp.tools.declare import tool
from evolink_mcp.tools.file_views import AddressView, DeletedView, FilesView, FileView, ListedFile, QuotaView
from evolink_mcp.tools.views import View

if TYPE_CHECKING:
    from evolink_mcp.gateway import Caller, wire
    from evolink_mcp.media import uploads
    from evolink_mcp.tools.call import Call

FILE_SECONDS = 50.0
FACTS_SECONDS = 8.0  # for what is only told beside the answer
MAX_PAGE_SIZE = 100  # S1
FEW_PLACES = 5  # or fewer that remain are worth a word
OVERWRITES = (
    "A file of the same name in the same folder is replaced: links to an earlier {name} now lead to this file."  # S1
)
PageSize = Annotated[int, AtMost, Field(ge=1, le=MAX_PAGE_SIZE, description=f"Files per page, 1–{MAX_PAGE_SIZE}.")]


@tool(
    "media",
    title="Upload file",
    description="""\
Stores a file of at most 100 MB for 72 h: exactly one of file_path, base64_data, file_url. Free; replaces a file of \
the same name.

Next: pass the returned file_url in image_urls.\
""",
    read_only=False,
    idempotent=False,
    output=FileView,
    optional=("file_id",),
)
async def upload_file(
    call: Call,
    file_path: Annotated[str | None, Field(description="Local file in an allowed folder.")] = None,
    base64_data: Annotated[str | None, LongText, Field(description="Base64, raw or as a data URL.")] = None,
    file_url: Annotated[str | None, Field(description="Public https link to copy from.")] = None,
    upload_path: Annotated[str | None, Field(description="Folder to store it in, e.g. cats.")] = None,
    file_name: Annotated[str | None, Field(description="Name to store it under.")] = None,
) -> View:
    from evolink_mcp.media import uploads

    sources = {"file_path": file_path, "base64_data": base64_data, "file_url": file_url}
    names = call.own_folder(uploads.check_names(upload_path, file_name))
    if all(value is None for value in sources.values()) and (address := await call.upload_address(names)):
        return AddressView(
            upload_url=address,
            command=f"curl -T FILE '{address}'",
            next_step="Run the command within 10 minutes, with the path of one file (at most 100 MB) for FILE. "
            "It prints file_url: pass that in image_urls.",
        )
    source = _only_one([name for name, value in sources.items() if value is not None])
    if file_url is not None:
        call.progress.describe("the gateway is copying the file")
        uploaded = await uploads.upload_link(call.caller, call.app.urls, file_url, names)
    elif base64_data is not None:
        call.progress.describe("uploading")
        uploaded = await uploads.upload_base64(call.caller, base64_data, names)
    else:
        uploaded = await _upload_path(call, file_path or "", names)
    stored = uploaded.file
    await call.note_own("file", stored.file_id)
    overwrites = OVERWRITES.format(name=stored.file_name or "one") if file_name or source != "base64_data" else None
    facts = _present(stored, "upload_time")
    facts.setdefault("mime_type", uploaded.mime_type)
    view = FileView(
        **facts,
        notes=[*uploaded.notes, *([overwrites] if overwrites else [])] or None,
        next_step="Pass file_url in image_urls of generate_image or generate_video.",
    )
    view.set_now(call.app.clock.now())
    return view


async def _upload_path(call: Call, path: str, names: dict[str, str]) -> uploads.Upload:
    from evolink_mcp.media import uploads

    if call.app.upload_dirs is None:
        raise Refused(
            "file_path: this server is remote and cannot read files on your machine.",
            code="file_refused",
            next_step="Call upload_file without a source for an address to send the file to, or give a public link as "
            "file_url.",
        )
    with await anyio.to_thread.run_sync(uploads.LocalFile.open, path, call.app.upload_dirs) as file:
        call.progress.describe(f"uploading {file.path.name} ({file.size / 1e6:.1f} MB)")
        return await file.upload(call.caller, names, seconds=file.seconds)


def _only_one(sources: list[str]) -> str:
    if len(sources) != 1:
        raise Refused(
            f"Exactly one of file_path, base64_data and file_url is needed (given: {', '.join(sources) or 'none'}).",
            code="invalid_arguments",
            next_step="Call again with one of them.",
        )
    return sources[0]


@tool(
    "media",
    title="List files",
    description="Lists uploaded files and the remaining quota. Free.",
    read_only=True,
    idempotent=True,
    brief_output=True,
)
async def list_files(
    call: Call,
    page: Annotated[int, Field(ge=1, description="Page number, from 1.")] = 1,
    page_size: PageSize = 20,
) -> FilesView:
    from evolink_mcp.gateway import files, wire

    caller = call.caller
    pages: list[tuple[list[wire.StoredFile], int | None]] = []
    failed: list[GatewayError] = []
    quotas: list[wire.Quota | GatewayError] = []

    async def read_quota() -> None:
        quotas.append(await _quota(caller))

    async def read_list() -> None:
        try:
            pages.append(await files.list_files(caller, page=page, page_size=page_size, seconds=FILE_SECONDS))
        except GatewayError as error:
            failed.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(read_quota)
        group.start_soon(read_list)
    if failed:
        raise failed[0]
    quota = quotas[0]
    listed, total = pages[0]
    more = total is not None and page * page_size < total
    if caller.owner != caller.account:
        own = await call.own("file", [file.file_id for file in listed], strict=True)
        listed, total = [file for file in listed if file.file_id in own], None
    steps = [f"Call list_files with page={page + 1} for more."] if more else []
    few = quota.remain_files if isinstance(quota, wire.Quota) else None
    if few is not None and few <= FEW_PLACES:
        steps.append("Few places are left: delete_file frees one.")
    view = FilesView(
        files=[
            ListedFile(
                file_id=file.file_id,
                file_name=file.file_name or None,
                file_size=file.file_size,
                upload_time=file.upload_time or None,
            )
            for file in listed
        ],
        total=total,
        page=page,
        page_size=page_size,
        quota=QuotaView(**_present(quota)) if isinstance(quota, wire.Quota) else None,
        notes=[f"The quota could not be read: {quota.what}"] if isinstance(quota, GatewayError) else None,
        next_step=" ".join(steps) or None,
    )
    view.set_now(call.app.clock.now())
    return view


@tool(
    "media",
    title="Delete file",
    description="Deletes one uploaded file for good; its links stop working. Free.",
    read_only=False,
    destructive=True,
    idempotent=True,
)
async def delete_file(
    call: Call, file_id: Annotated[str, Field(description="From upload_file or list_files.")]
) -> DeletedView:
    from evolink_mcp.gateway import files, wire
    from evolink_mcp.gateway.values import MAX_ID

    if not 0 < len(file_id) <= MAX_ID or not file_id.isprintable() or not file_id.strip("."):
        raise Refused(
            f"file_id must have 1 to {MAX_ID} visible characters, and not only dots.",
            code="invalid_arguments",
            next_step="Use a file_id from list_files.",
        )
    caller = call.caller
    await call.check_own("file", file_id)
    stored = await _stored(caller, file_id)
    gone = not await files.delete_file(caller, file_id, seconds=call.remaining(FILE_SECONDS - FACTS_SECONDS))
    quota = await _quota(caller)
    if gone:
        note = "No such file: it was deleted before, has expired, or the id is wrong"
    else:
        note = "Deleted one file"
        if stored is not None:
            size = f", {stored.file_size:,} bytes" if stored.file_size is not None else ""
            note = f"Deleted {stored.file_name or 'an unnamed file'}{size}"
    if isinstance(quota, wire.Quota) and quota.remain_files is not None:
        note += f"; room for {quota.remain_files} of {quota.max_files} files remains"
    return DeletedView(
        file_id=file_id,
        deleted=not gone,
        notes=[f"{note}."],
    )


async def _stored(caller: Caller, file_id: str) -> wire.StoredFile | None:
    """What the list says of a file before it is deleted; ``None`` if reading it takes long or fails."""
    from evolink_mcp.gateway import files

    try:
        listed, _ = await files.list_files(caller, page=1, page_size=MAX_PAGE_SIZE, seconds=FACTS_SECONDS)
    except GatewayError:
        return None
    return next((file for file in listed if file.file_id == file_id), None)


async def _quota(caller: Caller) -> wire.Quota | GatewayError:
    """The remaining quota, or why it is unknown. Not worth a long wait."""
    from evolink_mcp.gateway import files

    try:
        return await files.quota(caller, seconds=FACTS_SECONDS)
    except GatewayError as error:
        return error


def _present(record: wire.StoredFile | wire.Quota, *without: str) -> dict[str, Any]:
    """The facts of a record that are not empty."""
    return {name: value for name, value in asdict(record).items() if value not in ("", None) and name not in without}
