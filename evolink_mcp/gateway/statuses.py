"""The words for a status and for a kind of media: apart, for schemas of tools need nothing else of the gateway."""

from __future__ import annotations

from typing import Literal

Status = Literal["pending", "processing", "completed", "failed", "cancelled", "unknown"]
Kind = Literal["image", "video", "audio", "text"]

FINAL: frozenset[Status] = frozenset({"completed", "failed", "cancelled"})
