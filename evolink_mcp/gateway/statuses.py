"""The words for a status and for a kind of media: apart, for schemas of tools need nothing else of the gateway."""

from __future__ import annotations

from typing import Literal

Status = Literal["pending", "processing", "completed", "failed", "cancelled", "unknown"]
Kind = Literal["image", "video", "audio", "text"]

FINAL: frozenset[Status] = frozenset({"completed", "failed", "cancelled"})

# The gateway's own words (S1), then those of the providers behind it, which some gateways pass on: ours first in each.
_WORDS: dict[Status, str] = {
    "pending": "pending queued queue in_queue submitted created accepted scheduled waiting not_start not_started",
    "processing": "processing running in_progress started starting generating working active executing rendering",
    "completed": "completed complete succeeded succeed success successful done finished finish",
    "failed": "failed fail failure error errored rejected refused denied expired timeout timed_out "
    "moderation_blocked content_blocked blocked moderated nsfw content_policy_violation policy_violation flagged",
    "cancelled": "cancelled canceled cancel aborted",
}
STATUSES: dict[str, Status] = {word: status for status, words in _WORDS.items() for word in words.split()}
