"""upload_file, list_files and delete_file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import anyio
from pydantic import Field

from evolink_mcp.errors import GatewayError, Refused
from evolink_mcp.gateway import files, wire
from evolink_mcp.media import uploads
from evolink_mcp.tools.app import Call
from evolink_mcp.tools.views import DeletedView, FilesView, FileView, ListedFile, QuotaView

FILE_SECONDS = 50.0
MAX_PAGE_SIZE = 100  # S1


async def upload_file(
    call: Call,
    file_path: Annotated[str | None, Field(description="Local file in an allowed folder.")] = None,
    base64_data: Annotated[str | None, Field(description="Base64, raw or as a data URL.")] = None,
    file_url: Annotated[str | None, Field(description="Public https link to copy from.")] = None,
    upload_path: Annotated[str | None, Field(description="Folder on the server, e.g. cats.")] = None,
    file_name: Annotated[str | None, Field(description="Name to store it under.")] = None,
) -> FileView:
    """Stores one file (exactly one of file_path, base64_data, file_url; at most 100 MB) and returns its link.

    Free; the file expires after 72 h, and the same name overwrites. Next: pass file_url in image_urls.
    """
    stored, mime_type = await uploads.upload(
        call.caller,
        call.app.settings,
        file_path=file_path,
        base64_data=base64_data,
        file_url=file_url,
        upload_path=upload_path,
        file_name=file_name,
    )
    notes = [note for note in (uploads.type_note(mime_type), _overwrite_note(file_name)) if note]
    link = stored.file_url or stored.download_url
    facts = _present(stored, "upload_time")
    facts.setdefault("mime_type", mime_type)
    return FileView(
        **facts,
        notes=notes or None,
        next_step=f"Pass {link} in image_urls of generate_image or generate_video; "
        f"when it is no longer needed, delete_file {stored.file_id}.",
    )


async def list_files(
    call: Call,
    page: Annotated[int, Field(ge=1, description="Page number.")] = 1,
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE, description="Files a page.")] = 20,
) -> FilesView:
    """Lists uploaded files and the places left. Free. Next: delete_file to free places."""
    caller = call.caller
    found: list[tuple[list[wire.StoredFile], int | None]] = []
    quotas: list[wire.Quota] = []
    notes: list[str] = []

    async def read_quota() -> None:
        try:
            quotas.append(await files.quota(caller, seconds=FILE_SECONDS))
        except GatewayError as error:
            notes.append(f"The quota could not be read: {error.what}")

    failed: list[GatewayError] = []

    async def read_list() -> None:
        try:
            found.append(await files.list_files(caller, page=page, page_size=page_size, seconds=FILE_SECONDS))
        except GatewayError as error:
            failed.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(read_quota)
        group.start_soon(read_list)
    if failed:
        raise failed[0]
    listed, total = found[0]
    more = total is not None and page * page_size < total
    return FilesView(
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
        quota=QuotaView(**_present(quotas[0])) if quotas else None,
        notes=notes or None,
        next_step=f"Call list_files with page={page + 1} for more." if more else "Free places with delete_file.",
    )


async def delete_file(
    call: Call, file_id: Annotated[str, Field(description="As upload_file or list_files returned it.")]
) -> DeletedView:
    """Deletes one uploaded file for good. Free. Its links stop working."""
    if not 0 < len(file_id) <= files.MAX_FILE_ID or not file_id.isprintable() or not file_id.strip("."):
        raise Refused(
            f"file_id: 1 to {files.MAX_FILE_ID} visible characters, not dots alone, are expected.",
            code="invalid_arguments",
            next_step="Use a file_id from list_files.",
        )
    await files.delete_file(call.caller, file_id, seconds=FILE_SECONDS)
    return DeletedView(file_id=file_id, next_step="list_files shows the places left.")


def _present(record: wire.StoredFile | wire.Quota, *without: str) -> dict[str, Any]:
    """The facts of a record that are there."""
    return {name: value for name, value in asdict(record).items() if value not in ("", None) and name not in without}


def _overwrite_note(file_name: str | None) -> str | None:
    return "A file of the same name in the same folder was overwritten, if there was one." if file_name else None
