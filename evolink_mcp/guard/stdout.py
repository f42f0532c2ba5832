"""stdout as the place of what commands say: its reader may leave, its disk may be full."""

from __future__ import annotations

import errno
import os
import sys


def put(text: str) -> str:
    """Writes at once. Where that fails, this and all that follows goes nowhere: a server serves all the same.

    Returns:
        Why it could not be written; "" where it was, or where nobody reads.
    """
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        return ""
    try:
        if text:
            sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "" if is_unread(error) else f"stdout cannot be written to: {error.strerror or error}."
    return ""


def is_unread(error: OSError) -> bool:
    """Whether a pipe has lost its reader, which Windows tells as an argument that is not valid."""
    return error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL)
