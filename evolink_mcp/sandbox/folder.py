"""The temporary folder that results and uploads are kept in."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import weakref
from pathlib import Path


class Folder:
    """Made when the first file needs it, removed on ``clear`` or at the end of the process."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._remove = lambda: None

    @property
    def path(self) -> Path | None:
        return self._path

    def new(self, suffix: str) -> Path:
        """A path for a new file. Its name owes nothing to a caller.

        Raises:
            OSError: When there is no room.
        """
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="evolink-sandbox-"))
            self._remove = weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)
        return self._path / f"{secrets.token_hex(12)}{suffix}"

    def clear(self) -> None:
        self._remove()
        self._path = None
