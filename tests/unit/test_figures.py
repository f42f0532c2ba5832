"""The figures of the pages that promise something are those of the code."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from evolink_mcp import recall
from evolink_mcp.card import files as results
from evolink_mcp.gateway import account, prices
from evolink_mcp.guard import complexity
from evolink_mcp.jobs import (
    belongings,
    callbacks,
    deadlines,
    gathering,
    history,
    lasting,
    ledger,
    lines,
    pace,
    pauses,
    polls,
    posting,
    spending,
    texts,
)
from evolink_mcp.jobs.delivery import HOLD_SECONDS, PROXY_SECONDS
from evolink_mcp.jobs.shared import ledger_scripts, store, usage
from evolink_mcp.jobs.shared.ledger import PRECISION_SECONDS
from evolink_mcp.tools import files, listing
from evolink_mcp.transports.http import (
    application,
    bodies,
    chunks,
    connections,
    logs,
    serve,
    sse,
    sse_backlog,
    uploads,
)
from evolink_mcp.transports.http import callbacks as callback_route
from evolink_mcp.transports.http.options import HttpOptions

DAY, KIB, MIB = 24 * 3600, 1024, 1024 * 1024
MONEY = [
    ("once, within ten minutes", ledger.KEEP_SECONDS, 600),
    ("no free connection; three tries", posting.MAX_UNREACHED, 3),
    ("(2 s where it asked for none)", pauses.PAUSE_SECONDS, 2),
    ("heard of for 2.5 s counts as dead", ledger.SILENT_SECONDS, 2.5),
    ("until it has been held for 12 s", lasting.AWAY_SECONDS, 12),
    ("stops all decisions for 2 s", ledger_scripts.ANNOUNCE_SECONDS, 2),
    ("waited for, for 8 s at most", ledger_scripts.MISSING_SECONDS, 8),
    ("At most 100 are kept for one owner", lines.MAX_UNCLAIMED_PER_OWNER, 100),
    ("and 10,000 in all", lines.MAX_UNCLAIMED, 10_000),
    ("a second later over HTTP", PROXY_SECONDS, 1),
    ("told apart to within 20 ms", PRECISION_SECONDS, 0.02),
    ("| `generate_*` | 45 s", deadlines.SUBMIT_SECONDS, 45),
    ("`wait_seconds` + 10 s", deadlines.GRACE_SECONDS, 10),
    ("the text itself may take 300 s", texts.WRITE_SECONDS, 300),
    ("| 20 s a request |", listing.LIST_SECONDS, 20),
    ("| file calls | 50 s", files.FILE_SECONDS, 50),
    ("with more than four tasks go together", gathering.FEW, 4),
    ("up to 50 a request", account.MAX_BATCH, 50),
    ("otherwise singly, for an hour", polls.SINGLE_SECONDS, 3600),
    ("after five in a row the pace is back", callbacks.MAX_ABSENT, 5),
    ("Up to 16 calls queue", pauses.MAX_WAITING, 16),
]
REMOTE = [
    ("it had four calls", callbacks.MAX_CALLS, 4),
    ("older than 30 minutes", callbacks.KEEP_SECONDS, 1800),
    ("a body that takes 5 s or more", callback_route.BODY_SECONDS, 5),
    ("over 1 MiB", callback_route.MAX_BODY, MIB),
    ("512 calls are under way", callback_route.MAX_AT_ONCE, 512),
    ("has at most 10,000 addresses", callbacks.MAX_OF_OWNER, 10_000),
    ("all owners 50,000", callbacks.MAX_IN_ALL, 50_000),
    ("polled at their pace for ten minutes", callbacks.REST_SECONDS, 600),
    ("first one 5 s (images)", pace.IMAGE_NET.behind, 5),
    ("or 15 s (videos)", pace.VIDEO_NET.behind, 15),
    ("after 150 s at most", pace.VIDEO_NET.ahead * pace.MAX_AHEAD_STRETCH, 150),
    ("then every 30 to 60 s", pace.VIDEO_NET.shortest, 30),
    ("`--calls-per-minute` (120)", HttpOptions.calls_per_minute, 120),
    ("ten times that", application.REQUESTS_PER_CALL, 10),
    ("`--waits-per-caller` (32)", HttpOptions.waits_per_caller, 32),
    ("`--connections` (1,000;", HttpOptions.connections, 1_000),
    ("| SSE connections | 32 |", sse.MAX_OF_CALLER, 32),
    ("`--sse-connections` (200)", HttpOptions.sse_connections, 200),
    ("was quiet for 30 s is closed", sse.QUIET_SECONDS, 30),
    ("8 MiB a session", sse_backlog.MAX_BACKLOG, 8 * MIB),
    ("| 32 MiB |", sse_backlog.MAX_BACKLOGS, 32 * MIB),
    ("| bodies under way | 16 MiB |", bodies.MAX_BODIES_OF_CALLER, 16 * MIB),
    ("| 64 MiB |", bodies.MAX_BODIES, 64 * MIB),
    ("| one body | 4 MiB", bodies.MAX_BODY, 4 * MIB),
    ("5,000 values", complexity.MAX_VALUES, 5_000),
    ("64 deep", complexity.MAX_DEPTH, 64),
    ("1,000 chunks", chunks.MAX_SMALL_CHUNKS, 1_000),
    ("under 256 bytes", chunks.CHUNK_BYTES, 256),
    ("no answer yet | 64 KiB |", connections.MAX_AHEAD, 64 * KIB),
    ("as resources, 3 MiB each", results.MAX_BYTES_ELSEWHERE, 3 * MIB),
    ("until their clients have them | 1 |", results.MAX_READS_OF_OWNER, 1),
    ("have them | 1 | 8 |", results.MAX_READS, 8),
    ("after 30 s of waiting an error", results.WAIT_SECONDS, 30),
    ("to upload addresses | 2 |", uploads.MAX_OF_CALLER, 2),
    ("| 16 | 429; in all", uploads.MAX_IN_ALL, 16),
    ("below 50 kB/s", uploads.SLOW_BYTES, 50_000),
    ("| headers | 32 KiB", application.MAX_HEADERS, 32 * KIB),
    ("200 fields", application.MAX_FIELDS, 200),
    ("first byte of a connection | 15,", connections.HEAD_SECONDS, 15),
    ("| a body | 30,", bodies.BODY_SECONDS, 30),
    ("more of an answer | 30,", connections.READ_SECONDS, 30),
    ("between two requests | 75,", serve.KEEP_ALIVE, 75),
    ("logged 20 times a minute", logs.MAX_REPEATS, 20),
]
STORED = [
    ("| 90 days |", history.KEEP_SECONDS, 90 * DAY),
    ("of their tasks | memory, the history file or the store | 10 minutes |", ledger.KEEP_SECONDS, 600),
    ("as hashes | memory or the store | 7 days |", belongings.KEEP_SECONDS, 7 * DAY),
    ("| memory or the store | 30 minutes |", callbacks.KEEP_SECONDS, 1800),
    ("by person and day | the store | 62 days |", usage.KEEP_SECONDS, 62 * DAY),
    (
        "the store, or memory ([docs/cost.md](docs/cost.md)) | 62 days",
        spending.KEEP_SECONDS,
        62 * DAY,
    ),
    ("32 files at most", recall.MAX_FILES, 32),
    ("300 files at most", prices.MAX_ANSWERS, 300),
    ("encrypted, for 10 minutes", uploads.LIFE_SECONDS, 600),
]
DEPLOY = [
    ("has 0.5 s to be answered", store.WHOLE_SECONDS, 0.5),
    ("left alone for 5 s", store.REST_SECONDS, 5),
    ("the first 12 s of an outage", lasting.AWAY_SECONDS, 12),
    ("can be claimed | 2.5 s |", ledger.SILENT_SECONDS, 2.5),
]
PAGES = {"docs/reliability.md": MONEY, "docs/remote.md": REMOTE, "PRIVACY.md": STORED, "docs/deploy.md": DEPLOY}


@cache
def words_of(page: str) -> str:
    return " ".join((Path(__file__).parents[2] / page).read_text(encoding="utf-8").split())


@pytest.mark.parametrize("page", PAGES)
def test_the_figures_of_a_page_are_those_of_the_code(page: str) -> None:
    for words, bound, value in PAGES[page]:
        assert words in words_of(page), words
        assert bound == value, words


def test_an_answer_is_held_for_as_long_as_its_connection_may_leave_it_unread() -> None:
    assert HOLD_SECONDS == connections.READ_SECONDS == results.WAIT_SECONDS
