"""Quiet chords: the sound track of films, and the whole of an audio task."""

from __future__ import annotations

import hashlib
import math
from array import array
from pathlib import Path

from evolink_mcp.sandbox.encode import RATE, Encoder
from evolink_mcp.sandbox.work import Tone

_LOUDNESS = 1200  # of 32767, for each of three voices


def second_of(prompt: str) -> bytes:
    """One second of a chord as 16-bit mono samples. Whole-number pitches, so that seconds join without a click."""
    root = 165 + hashlib.sha256(prompt.encode()).digest()[0] % 12 * 9
    steps = [2 * math.pi * pitch / RATE for pitch in (root, round(root * 5 / 4), round(root * 3 / 2))]
    return array("h", (int(_LOUDNESS * sum(math.sin(step * n) for step in steps)) for n in range(RATE))).tobytes()


def play(work: Tone, path: Path) -> None:
    """Write the tone in its format."""
    samples = second_of(work.prompt)
    with Encoder(path, size=None, sound=work.format) as encoder:
        for _ in range(work.seconds):
            encoder.second(samples)
