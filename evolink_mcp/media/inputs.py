"""Local files in the place of links: opened, checked, and uploaded before anything is paid for."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import anyio

from evolink_mcp.errors import EvolinkError, GatewayError, Refused
from evolink_mcp.gateway import Caller
from evolink_mcp.guard.urls import bare_link, is_linklike
from evolink_mcp.media.kinds import safe
from evolink_mcp.media.uploads import LocalFile, Upload

MAX_LOCAL_FILES = 20
MAX_UPLOADS = 3
MAX_PATH_LENGTH = 4096
MAX_PROBE_SECONDS = 8.0
# Nothing answers here (RFC 6761): it stands for a local file until that is uploaded.
_STAND_IN = "https://local.invalid/"


@dataclass
class LocalInputs:
    """The local files among the parameters of one call; a context manager that closes them.

    ``params`` are the caller's, with a stand-in link for each local file, so that everything else can be checked before
    a byte is sent. A stand-in depends on the file's device, inode, size and times only: equal requests have equal ones.
    """

    params: dict[str, object]
    _files: dict[str, tuple[str, LocalFile]] = field(default_factory=dict[str, tuple[str, LocalFile]])
    _paths: dict[str, str] = field(default_factory=dict[str, str])
    _uploaded: dict[str, Upload] = field(default_factory=dict[str, Upload])
    _open: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def find(cls, params: Mapping[str, object], link_names: frozenset[str], folders: Sequence[Path] | None) -> Self:
        """Finds and opens the local files among ``params``.

        Args:
            link_names: The parameters, at any depth, whose texts are links.
            folders: Where files may be read; ``None`` where the caller is on another machine.

        Raises:
            Refused: One of them may not be read, or there are too many.
        """
        found = cls({})
        try:
            found.params = cast(
                "dict[str, object]",
                _replaced(params, "", link_names, lambda name, path: found._add(name, path, folders)),
            )
        except BaseException:
            found._open.close()
            raise
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def names(self) -> str:
        """The files, for people."""
        return ", ".join(file.name for _, file in self._files.values())

    @property
    def files(self) -> Mapping[str, LocalFile]:
        """The files by their stand-ins."""
        return {stand_in: file for stand_in, (_, file) in self._files.items()}

    async def probe(self) -> Mapping[str, Mapping[str, Any]]:
        """What the decoder can tell of the files, by their stand-ins, within ``MAX_PROBE_SECONDS``."""
        facts: dict[str, Mapping[str, Any]] = {}

        async def one(stand_in: str, file: LocalFile) -> None:
            facts[stand_in] = await file.probe(mask="mask" in self._files[stand_in][0])

        with anyio.move_on_after(MAX_PROBE_SECONDS):
            async with anyio.create_task_group() as group:
                for stand_in, file in self.files.items():
                    group.start_soon(one, stand_in, file)
        return facts

    def is_stand_in(self, link: str) -> bool:
        """Whether a link only stands for a local file."""
        return link in self._files

    def name_files(self, text: str) -> str:
        """A text about ``params`` as the caller knows them: with file names in place of the stand-ins."""
        for stand_in, (_, file) in self._files.items():
            text = text.replace(stand_in, file.name)
        return text

    @property
    def notes(self) -> list[str]:
        """What was uploaded."""
        return [
            f"{self._files[stand_in][0]}: uploaded {self._files[stand_in][1].name} as {uploaded.file.file_id} "
            "(kept for 72 h)."
            for stand_in, uploaded in self._uploaded.items()
        ]

    async def upload(self, caller: Caller, params: Mapping[str, object], *, seconds: float) -> dict[str, object]:
        """Uploads the files, all within ``seconds``; returns ``params`` with their links in place of the stand-ins.

        Raises:
            EvolinkError: One of them was not stored. Nothing was paid for; ``charged`` says so.
        """
        free, end = anyio.Semaphore(MAX_UPLOADS), anyio.current_time() + seconds
        failed: list[EvolinkError] = []

        async def one(stand_in: str, name: str, file: LocalFile) -> None:
            async with free:
                if failed:
                    return
                try:
                    left = max(end - anyio.current_time(), 0.0)
                    uploaded = await file.upload(caller, _stored_name(file), seconds=left)
                    self._uploaded[stand_in] = uploaded
                    if not uploaded.link:
                        raise GatewayError("The files API returned no link to it.", code="no_link")
                except EvolinkError as error:
                    failed.append(error.replace(what=f"{name}: {file.name} could not be uploaded. {error.what}"))
                except OSError as error:
                    what = f"{name}: {file.name} could not be read ({error.strerror or error})."
                    failed.append(Refused(what, code="file_refused", next_step="Call again with another file."))

        async with anyio.create_task_group() as group:
            for stand_in, (name, file) in self._files.items():
                group.start_soon(one, stand_in, name, file)
        if failed:
            error = failed[0].replace(charged="no")  # the paid request was never sent
            if error.code == "timeout":
                error = error.with_next(
                    "For a large file, call upload_file, which has more time, and pass its file_url."
                )
            raise self.with_uploads(error)
        links = {stand_in: uploaded.link for stand_in, uploaded in self._uploaded.items()}
        return cast("dict[str, object]", _linked(params, links))

    def with_uploads(self, error: EvolinkError) -> EvolinkError:
        """An error that also says what was uploaded before it, and how to be rid of that."""
        if not self._uploaded:
            return error
        ids = [uploaded.file.file_id for uploaded in self._uploaded.values()]
        return error.with_next(" ".join([*self.notes, *(f"delete_file {each} removes it." for each in ids)]))

    def _add(self, name: str, path: str, folders: Sequence[Path] | None) -> str:
        if folders is None:
            raise Refused(
                f"{name}: {path[:80]!r} is not a link, and files on your machine cannot be read by a remote server.",
                code="file_refused",
                next_step="Give a public https link, or upload_file(base64_data=…) and use its file_url.",
            )
        if path in self._paths:
            return self._paths[path]
        if len(self._paths) >= MAX_LOCAL_FILES:
            raise Refused(
                f"{name}: more than {MAX_LOCAL_FILES} local files in one call.",
                code="invalid_arguments",
                next_step="Give fewer, or upload them with upload_file first.",
            )
        file = self._open.enter_context(LocalFile.open(path, folders, name=name))
        stand_in = _STAND_IN + _identity(file)
        self._files.setdefault(stand_in, (name, file))
        self._paths[path] = stand_in
        return stand_in


def _identity(file: LocalFile) -> str:
    return hashlib.sha256(repr(file.handle.identity).encode()).hexdigest()[:24]


def _stored_name(file: LocalFile) -> dict[str, str]:
    """A name of its own for each upload: the same name overwrites (S1), perhaps a file that a task still reads."""
    return {"file_name": f"{secrets.token_hex(4)}-{safe(file.name)}"}


def _replaced(value: object, name: str, link_names: frozenset[str], add: Callable[[str, str], str]) -> object:
    """A value with every local path in a place for links given to ``add`` and replaced by what that returns."""
    if isinstance(value, str):
        value = bare_link(value) if name.rpartition(".")[2].partition("[")[0] in link_names else value
        path = _local_path(value) if name.rpartition(".")[2].partition("[")[0] in link_names else None
        return value if path is None else add(name, path)
    if isinstance(value, Mapping):
        inner = cast("Mapping[str, object]", value)
        prefix = f"{name}." if name else ""
        return {key: _replaced(each, prefix + key, link_names, add) for key, each in inner.items()}
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [_replaced(each, f"{name}[{index}]", link_names, add) for index, each in enumerate(items)]
    return value


def _local_path(text: str) -> str | None:
    """The path or ``file:`` link that a text is; ``None`` for other links, data URLs and what no path is."""
    if not text or len(text) > MAX_PATH_LENGTH or "\0" in text or text[:5].lower() == "data:":
        return None
    if text[:5].lower() == "file:" or text[:1] in "/\\~":
        return text
    return None if is_linklike(text) else text


def _linked(value: object, links: Mapping[str, str]) -> object:
    if isinstance(value, str):
        return links.get(value, value)
    if isinstance(value, Mapping):
        return {key: _linked(each, links) for key, each in cast("Mapping[str, object]", value).items()}
    if isinstance(value, list):
        return [_linked(each, links) for each in cast("list[object]", value)]
    return value
