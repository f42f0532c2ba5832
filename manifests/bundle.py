"""Packs the MCPB bundle: the package, its project file and the manifest, in one zip that is the same every time.

``python -m manifests.bundle`` writes ``dist/evolink-mcp-VERSION.mcpb``.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from evolink_mcp import __version__
from manifests.facts import ROOT

# What `uv run` needs to start the server; the project file names the README and the licence.
BESIDE = ("pyproject.toml", "README.md", "LICENSE")
EPOCH = (2020, 2, 2, 0, 0, 0)


def contents() -> Iterator[tuple[str, Path]]:
    """(name in the bundle, file) of all that goes in."""
    yield "manifest.json", ROOT / "manifests" / "mcpb" / "manifest.json"
    for name in BESIDE:
        yield name, ROOT / name
    for path in sorted((ROOT / "evolink_mcp").rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            yield path.relative_to(ROOT).as_posix(), path


def pack(folder: Path) -> Path:
    """Writes the bundle into a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle = folder / f"evolink-mcp-{__version__}.mcpb"
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in contents():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return bundle


if __name__ == "__main__":
    sys.stdout.write(f"{pack(ROOT / 'dist')}\n")
