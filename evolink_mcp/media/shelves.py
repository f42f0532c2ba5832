"""Which kind of place the operator names. Only what that kind needs is loaded."""

from __future__ import annotations

from collections.abc import Callable

from evolink_mcp.media.shelf import Bounds, Shelf
from evolink_mcp.settings import Settings
from evolink_mcp.settings.places import Bucket


def shelf_of(settings: Settings, now: Callable[[], float]) -> Shelf:
    """The shelf that the settings name, with its bounds.

    Raises:
        ShelfError: It cannot be one.
    """
    place = settings.keep_dir
    assert place is not None
    bounds = Bounds(settings.keep_days * 86_400, int(settings.keep_gb * 1e9), int(settings.keep_gb_each * 1e9))
    if isinstance(place, Bucket):
        from evolink_mcp.media.bucket_shelf import BucketShelf

        return BucketShelf(place, bounds, now)
    from evolink_mcp.media.folder_shelf import FolderShelf

    return FolderShelf(place, bounds, now)
