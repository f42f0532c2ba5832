"""The mends of the money path: what each promises, the text that keeps it, and the tests that fail without it.

They stand in the data files beside this, a table each under a name that says the promise:

* ``file``: below ``evolink_mcp/``;
* ``out``: the text taken out, which stands there once;
* ``instead``: what stands there then; nothing, where it is left out;
* ``tests``: those that fail. One is enough to notice it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent


@dataclass(frozen=True)
class Mend:
    """A mend, and what notices that it is not there. Paths are those of the repository."""

    name: str
    file: str
    out: str
    instead: str
    tests: tuple[str, ...]

    def take_out(self, source: str) -> str:
        """The file's source without the mend.

        Raises:
            LookupError: Its text does not stand there once.
        """
        if source.count(self.out) != 1:
            raise LookupError(f"{self.file} has the text of {self.name!r} {source.count(self.out)} times")
        return source.replace(self.out, self.instead)


def mends() -> Iterator[Mend]:
    """All mends, file by file."""
    for data in sorted(DATA.glob("*.toml")):
        for name, fields in tomllib.loads(data.read_text(encoding="utf-8")).items():
            instead, tests = fields.get("instead", ""), tuple(fields["tests"])
            yield Mend(name, f"evolink_mcp/{fields['file']}", fields["out"], instead, tests)
