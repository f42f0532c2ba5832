"""Checks of the bucket where results are kept: it is asked as the server would ask it, and nothing is left there."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

from evolink_mcp.doctor.report import Check
from evolink_mcp.media.shelf import Away, NoAccess, NoBucket, ShelfError
from evolink_mcp.settings import Settings
from evolink_mcp.settings.places import Bucket

TRIAL_SECONDS = 6.0
MAX_SECONDS = 8.0  # beside the hosts of the gateway
_ADVICE: dict[type[ShelfError], str] = {
    Away: "Check the network, a proxy or firewall, AWS_REGION and AWS_ENDPOINT_URL.",
    NoAccess: "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the key the rights in docs/remote.md.",
    NoBucket: "Make the bucket, or correct EVOLINK_KEEP_DIR, AWS_REGION or AWS_ENDPOINT_URL.",
    ShelfError: "Correct the AWS_ variables; docs/remote.md says what the service must know.",
}


def begin(settings: Settings) -> Callable[[], Iterator[Check]]:
    """Begins to try the bucket, if there is one, and gives what waits for the check."""
    if not isinstance(settings.keep_dir, Bucket):
        return lambda: iter(())
    checks: list[Check] = []
    silent = Check("bucket", "wrong", f"no answer within {MAX_SECONDS:.0f} s", _ADVICE[Away])
    end = time.monotonic() + MAX_SECONDS
    thread = threading.Thread(target=lambda: checks.append(_try(settings)), daemon=True)
    thread.start()

    def wait() -> Iterator[Check]:
        thread.join(max(0.0, end - time.monotonic()))
        yield next(iter(checks), silent)

    return wait


def _try(settings: Settings) -> Check:
    from evolink_mcp.media.bucket_shelf import BucketShelf
    from evolink_mcp.media.shelves import shelf_of

    try:
        shelf = shelf_of(settings, time.time)
        assert isinstance(shelf, BucketShelf)
        asyncio.run(shelf.probe(TRIAL_SECONDS))
    except ShelfError as error:
        advice = next(_ADVICE[kind] for kind in type(error).__mro__ if kind in _ADVICE)
        return Check("bucket", "wrong", f"{settings.keep_dir}: {error}", advice)
    except OSError:  # what was just written is not there
        return Check("bucket", "wrong", f"{settings.keep_dir} does not give what it took", _ADVICE[ShelfError])
    return Check("bucket", "ok", f"{settings.keep_dir} can be listed, written, read and tidied")
