"""The views of upload_file, list_files and delete_file."""

from __future__ import annotations

from pydantic import BaseModel, PrivateAttr

from evolink_mcp.tools.times import counted, with_distance
from evolink_mcp.tools.views import View


class FileView(View):
    """An uploaded file."""

    file_id: str
    file_url: str | None = None
    download_url: str | None = None
    file_name: str | None = None
    original_name: str | None = None
    file_size: int | None = None
    mime_type: str | None = None
    expires_at: str | None = None
    notes: list[str] | None = None
    next_step: str

    _now: float = PrivateAttr(default=0.0)

    def set_now(self, now: float) -> None:
        """The present, in seconds since 1970: from there its end is told."""
        self._now = now

    def as_text(self) -> str:
        facts = {
            "File id": self.file_id,
            "file_url": self.file_url,
            "Download": self.download_url if not self.file_url else None,
            "Name": self.file_name,
            "Original name": self.original_name if self.original_name != self.file_name else None,
            "Size": f"{self.file_size:,} bytes" if self.file_size is not None else None,
            "Type": self.mime_type,
            "Expires": with_distance(self.expires_at, self._now) if self.expires_at else None,
        }
        lines = [f"{name}: {value}" for name, value in facts.items() if value]
        lines += [f"Note: {note}" for note in self.notes or []]
        return "\n".join([*lines, f"Next: {self.next_step}"])


class AddressView(View):
    """An address to which one file can be sent."""

    upload_url: str
    command: str
    next_step: str

    def as_text(self) -> str:
        return f"Command: {self.command}\nNext: {self.next_step}"


class ListedFile(BaseModel):
    file_id: str
    file_name: str | None = None
    file_size: int | None = None
    upload_time: str | None = None


class QuotaView(BaseModel):
    used_files: int | None = None
    max_files: int | None = None
    remain_files: int | None = None
    user_group: str | None = None


class FilesView(View):
    """One page of the stored files."""

    files: list[ListedFile]
    total: int | None = None
    page: int
    page_size: int
    quota: QuotaView | None = None
    notes: list[str] | None = None
    next_step: str | None = None

    _now: float = PrivateAttr(default=0.0)

    def set_now(self, now: float) -> None:
        """The present, in seconds since 1970: from there the age of a file is told."""
        self._now = now

    def as_text(self) -> str:
        total = f" of {self.total}" if self.total is not None else ""
        lines = [f"{counted(len(self.files), 'file')}{total} (page {self.page}, {self.page_size} per page)"]
        for file in self.files:
            size = f", {file.file_size:,} bytes" if file.file_size is not None else ""
            time = f", uploaded {with_distance(file.upload_time, self._now)}" if file.upload_time else ""
            lines.append(f"- {file.file_id}: {file.file_name or 'unnamed'}{size}{time}")
        if self.quota and self.quota.max_files is not None:
            used, remaining = self.quota.used_files, self.quota.remain_files
            lines.append(f"Quota: {used} of {self.quota.max_files} files used, {remaining} remaining")
        lines += [f"Note: {note}" for note in self.notes or []]
        lines += [f"Next: {self.next_step}"] if self.next_step else []
        return "\n".join(lines)


class DeletedView(View):
    """A deleted file; ``deleted`` is false if it was gone already."""

    file_id: str
    deleted: bool
    notes: list[str] | None = None

    def as_text(self) -> str:
        lines = [f"{'Deleted' if self.deleted else 'Already gone'}: {self.file_id}"]
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes or [])])
