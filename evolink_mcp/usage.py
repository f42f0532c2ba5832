"""``evolink-mcp usage``: who made what, at what cost, out of the shared store."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio

from evolink_mcp.errors import EvolinkError
from evolink_mcp.guard.text import one_line
from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.shared.spending import SharedSpending
from evolink_mcp.jobs.shared.store import Store
from evolink_mcp.jobs.shared.usage import SharedUsage
from evolink_mcp.settings import read_settings

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_DAYS = 62  # the store keeps no more
COLUMNS: Mapping[str, str] = {
    "calls": "Calls",
    "refusals": "Refused",
    "images": "Images",
    "videos": "Films",
    "film_seconds": "Seconds of film",
    "audios": "Sounds",
    "failed": "Failed",
    "credits_held": "Credits held",
    "credits_charged": "Credits charged",
}
BAR_WIDTH = 20  # characters
MAX_NAME = 200

Row = dict[str, str | float]


def answer(since: str, *, as_json: bool) -> RenderableType:
    """What the command shows.

    Raises:
        EvolinkError: It cannot: no store is set or answers, or ``since`` is no day.
    """
    try:
        days = days_since(since, datetime.now(UTC))
    except ValueError:
        what = f"--since takes a date (2026-11-01) or a number of days (7d), not {since[:40]!r}."
        raise EvolinkError(what, code="invalid_arguments") from None
    state_url = read_settings().state_url
    if state_url is None:
        what = "Usage is counted in the shared store, and none is set."
        raise EvolinkError(what, code="no_store", next_step="Set EVOLINK_STATE_URL.")
    rows = anyio.run(read_usage, state_url, days)
    if as_json:
        return json.dumps({"days": days, "people": rows}, indent=2, ensure_ascii=False)
    return as_table(rows, days) if rows else "Nobody has called anything in these days."


def days_since(since: str, now: datetime) -> list[str]:
    """The days in UTC from ``since`` on: a date, or a number of days such as ``7d``.

    Raises:
        ValueError: It is neither.
    """
    if match := re.fullmatch(r"(\d{1,3})d", since):
        first = now - timedelta(days=int(match[1]) - 1)
    else:
        first = datetime.fromisoformat(since).replace(tzinfo=UTC)
    count = min(max((now.date() - first.date()).days + 1, 0), MAX_DAYS)
    return [(now - timedelta(days=number)).strftime("%Y-%m-%d") for number in reversed(range(count))]


async def read_usage(state_url: str, days: list[str]) -> list[Row]:
    """A row for each person, who spent most first.

    Raises:
        EvolinkError: The store does not answer.
    """
    store = Store(state_url)
    try:
        rows: list[Row] = []
        people = await SharedUsage(store).read(days)
        spent = await SharedSpending(store).sums_of([person.owner for person in people], days)
        for person in people:
            sums = spent[person.owner]
            row: Row = {"caller": person.owner, "name": person.name}
            row |= {name: float(person.counts.get(name, 0.0)) for name in COLUMNS}
            row |= {"credits_held": sums.held, "credits_charged": sums.charged}
            rows.append(row)
    except Away:
        step = "See that EVOLINK_STATE_URL names the store of your replicas, and that it can be reached from here."
        raise EvolinkError("The shared store does not answer.", code="store_away", next_step=step) from None
    finally:
        await store.aclose()
    return sorted(rows, key=lambda row: (-float(row["credits_charged"]), -float(row["calls"]), str(row["caller"])))


def as_table(rows: list[Row], days: list[str]) -> RenderableType:
    """The rows for people, with a bar for what each was charged, or called where nothing was."""
    from rich.bar import Bar
    from rich.table import Table
    from rich.text import Text

    used = [name for name in COLUMNS if any(row[name] for row in rows)]
    measure = "credits_charged" if "credits_charged" in used else "calls"
    most = max((float(row[measure]) for row in rows), default=0.0)
    table = Table(title=f"{days[0]} to {days[-1]} (UTC)" if days else "No days")
    table.add_column("Who")
    for name in used:
        table.add_column(COLUMNS[name], justify="right")
    table.add_column(COLUMNS[measure], width=BAR_WIDTH)
    for row in rows:
        # A name is the identity provider's: no markup, and nothing that steers a terminal.
        cells: list[RenderableType] = [Text(one_line(str(row["name"] or row["caller"]), MAX_NAME))]
        cells += [f"{float(row[name]):,.2f}".rstrip("0").rstrip(".") for name in used]
        table.add_row(*cells, Bar(most or 1.0, 0.0, float(row[measure]), width=BAR_WIDTH))
    return table
