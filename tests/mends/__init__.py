"""The mends of the money path: what each promises, the text that keeps it, and the tests that fail without it.

They stand in the data files beside this, a table each under a name that says the promise:

* ``file``: below ``evolink_mcp/``;
* ``out``: the text taken out, which stands there once;
* ``instead``: what stands there then; nothing, where it is left out;
* ``tests``: those that fail. One is enough to notice it;
* ``beside``: of the modules in ``AT_AWAITS``, why no test that has a client leave at every await is among them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

DATA = Path(__file__).parent
EVERY_AWAIT = "tests/unit/test_every_await"  # how the paths of the tests begin that have a client leave at every await
AT_AWAITS = ("purchases", "purchase", "crossing", "lines", "delivery")  # modules of ``jobs`` that these are to hold


@dataclass(frozen=True)
class Mend:
    """A mend, and what notices that it is not there. Paths are those of the repository."""

    name: str
    file: str
    out: str
    instead: str
    tests: tuple[str, ...]
    beside: str = ""

    def at_awaits(self) -> Mend:
        """The same mend, with the tests of every await alone."""
        return replace(self, tests=tuple(each for each in self.tests if each.startswith(EVERY_AWAIT)))

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
            file, beside = f"evolink_mcp/{fields['file']}", fields.get("beside", "")
            yield Mend(name, file, fields["out"], instead, tests, beside)
