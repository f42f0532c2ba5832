"""``make tokens``: what the list of tools costs an agent, tool by tool, and the budget it has to keep.

Hosts send the list to the model on every connection, most of them without output schemas. A token is about four
bytes of such text. The budgets stand in ``benchmarks/budgets.py``; they are half of what comparable servers take, and
what is free of them is for parameters to come.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.budgets import BUDGETS
from evolink_mcp.settings import TOOLSETS
from tests.snapshots import compact, schemas

LIMITS = {budget.figure: int(budget.limit) for budget in BUDGETS if budget.figure.startswith("list.")}
BYTES_PER_TOKEN = 4


def size(value: object) -> int:
    """Bytes on the wire."""
    return len(compact(value).encode())


def row(tool: Mapping[str, Any]) -> tuple[str, int, int, int, int]:
    """A tool's name, and the bytes of its description, its input schema, its output schema, and of all of it."""
    return (
        tool["name"],
        size(tool["description"]),
        size(tool["inputSchema"]),
        size(tool["outputSchema"]),
        size(tool),
    )


def without_output(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tools as a model sees them in most hosts."""
    return [{name: part for name, part in tool.items() if name != "outputSchema"} for tool in tools]


def report() -> str:
    """The table, and how much of each budget is free."""
    default = schemas()
    lines = [f"{'tool':<16}{'description':>12}{'input':>8}{'output':>8}{'bytes':>8}{'tokens':>8}"]
    for tool in schemas(TOOLSETS):
        name, description, taken, returned, total = row(tool)
        tokens = total // BYTES_PER_TOKEN
        lines.append(f"{name:<16}{description:>12,}{taken:>8,}{returned:>8,}{total:>8,}{tokens:>8,}")
    sizes = {"list.bytes": size({"tools": default}), "list.without_output": size({"tools": without_output(default)})}
    lines += ["", "The default list, toolset media:"]
    for budget in BUDGETS:
        if budget.figure in sizes:
            used = sizes[budget.figure]
            lines.append(f"{budget.what}: {used:,} of {budget.limit:,}, {budget.limit - used:,} free")
    lines += ["", (__doc__ or "").partition("\n\n")[2].strip()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(report() + "\n")
