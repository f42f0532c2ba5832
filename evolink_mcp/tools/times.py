"""Times and numbers as an agent reads them. Times are absolute, to be compared, and relative, to be acted on."""

from __future__ import annotations

from datetime import UTC, datetime

MIN_DAYS_SECONDS = 4 * 86_400  # less is told in hours: a link dies by the hour


def iso(seconds: float) -> str:
    """A time, in seconds since 1970, as ISO 8601 in UTC with whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """How long something takes, in its largest unit, rounded down: ``23 h``."""
    if seconds >= MIN_DAYS_SECONDS:
        return f"{seconds // 86_400:.0f} days"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def dying(moment: float, now: float) -> str:
    """When links die: ``die in 23 h, at 2026-11-28T18:10:02Z``."""
    left = moment - now
    return f"die in {span(left)}, at {iso(moment)}" if left > 0 else f"died {span(-left)} ago, at {iso(moment)}"


def with_distance(moment: str, now: float) -> str:
    """A time in ISO 8601 with how far it is from ``now``; as it stands where it is not such a time."""
    try:
        away = datetime.fromisoformat(moment).timestamp() - now
    except (ValueError, OverflowError):
        return moment
    return f"{moment} (in {span(away)})" if away >= 1 else f"{moment} ({span(-away)} ago)"


def counted(number: int, thing: str) -> str:
    """A number of things, in words: ``1 task``, ``2 tasks``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
