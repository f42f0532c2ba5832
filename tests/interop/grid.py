"""Who speaks to the server, by which transport, in which era of the protocol: every cell is tried or has a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.interop.software import VERSIONS

TRANSPORTS = ("stdio", "http", "sse")
# legacy: the handshakes up to 2025-11-25. auto: the client finds out. modern: 2026-07-28, without a handshake.
ERAS = ("legacy", "auto", "modern")
NONE = "has none"


@dataclass(frozen=True)
class Row:
    """A client and what it has: eras by transport. ``lacks`` says why the rest is missing."""

    client: str
    has: Mapping[str, tuple[str, ...]]
    lacks: str = ""


@dataclass(frozen=True)
class Cell:
    client: str
    transport: str
    era: str

    def __str__(self) -> str:
        return f"{self.client}/{self.transport}/{self.era}"


def everywhere(*eras: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(TRANSPORTS, eras)


def _named(package: str, index: str, label: str) -> str:
    return f"{label} {VERSIONS[index][package]}"


# Clients of last year and the year before, by the version that is installed.
PYTHON_1_6 = "mcp 1.6.0"
PYTHON_1_9 = "mcp 1.9.4"
TYPESCRIPT_1_11 = "TypeScript SDK 1.11.5"
OLD = (PYTHON_1_6, PYTHON_1_9, TYPESCRIPT_1_11)
PYTHON_1 = _named("mcp", "pypi", "mcp")
PYTHON_2 = "mcp 2.x"
FASTMCP = _named("fastmcp", "pypi", "fastmcp")
TYPESCRIPT_1 = _named("@modelcontextprotocol/sdk", "npm", "TypeScript SDK")
TYPESCRIPT_2 = _named("@modelcontextprotocol/client", "npm", "TypeScript SDK")
INSPECTOR = _named("@modelcontextprotocol/inspector", "npm", "Inspector")
HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
DISCOVER_FIRST = "raw discover, initialize"

BEFORE = "made before 2026-07-28"
ROWS = (
    Row(PYTHON_1_6, {"stdio": ("legacy",), "http": (), "sse": ("legacy",)}, "made before 2025-03-26"),
    Row(PYTHON_1_9, everywhere("legacy"), BEFORE),
    Row(PYTHON_1, everywhere("legacy"), BEFORE),
    Row(PYTHON_2, everywhere(*ERAS)),
    Row(FASTMCP, everywhere(*ERAS)),
    Row(TYPESCRIPT_1_11, everywhere("legacy"), BEFORE),
    Row(TYPESCRIPT_1, everywhere("legacy"), BEFORE),
    Row(TYPESCRIPT_2, everywhere(*ERAS)),
    Row(INSPECTOR, everywhere(*ERAS)),
    *(Row(f"raw {version}", everywhere("legacy"), "one version, spoken by hand") for version in HANDSHAKES),
    Row(f"raw {MODERN}", everywhere("modern"), "one version, spoken by hand"),
    Row(DISCOVER_FIRST, everywhere("legacy"), "ends in a handshake"),
)


def cells(*clients: str) -> list[Cell]:
    """The cells that are tried, of some clients or all."""
    return [
        Cell(row.client, transport, era)
        for row in ROWS
        if not clients or row.client in clients
        for transport in TRANSPORTS
        for era in row.has.get(transport, ())
    ]


def table(outcomes: Mapping[str, str]) -> list[str]:
    """The whole grid as a table, by the outcome of each cell."""
    lines = [f"| client | transport | {' | '.join(ERAS)} | |", "|---" * (len(ERAS) + 3) + "|"]
    for row in ROWS:
        for transport in TRANSPORTS:
            told = [
                outcomes.get(str(Cell(row.client, transport, era)), "not tried")
                if era in row.has.get(transport, ())
                else NONE
                for era in ERAS
            ]
            lines.append(f"| {row.client} | {transport} | {' | '.join(told)} | {row.lacks if NONE in told else ''} |")
    return lines
