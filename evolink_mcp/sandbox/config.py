"""How one sandbox behaves: durations, limits, accepted keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Settings of one sandbox. All durations are seconds of the sandbox's own clock.

    ``image_seconds``, ``video_seconds`` and ``audio_seconds`` say how long a task takes
    at least (it is never completed before its files exist). ``link_seconds`` is the
    life of a result link (24 h, S1) and ``file_seconds`` of an uploaded file (72 h,
    S1). ``max_files`` is the quota of one key (100, S1). With ``keys`` unset every
    bearer key is accepted; with a set, only those in it. Without ``prices`` there is
    neither a price list nor an estimate.
    """

    image_seconds: float = 2.0
    video_seconds: float = 4.0
    audio_seconds: float = 3.0
    link_seconds: float = 86_400
    file_seconds: float = 259_200
    max_files: int = 100
    prices: bool = True
    keys: frozenset[str] | None = None
