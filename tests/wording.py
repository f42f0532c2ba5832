"""What no answer of a tool may say, in any situation: read in every answer that a test's client gets."""

from __future__ import annotations

import re
from collections import Counter

_LINK = re.compile(r"https?://[^\s\"'<>()\[\]]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_DISTANCE = re.compile(r"\b(?:in|died) \d+ (?:s|min|h|days)\b|\b\d+ (?:s|min|h|days) ago\b")
_SENTENCE = re.compile(r"(?<=[.:;])\s+|\n")
LISTS = ("list_models", "list_tasks", "list_files", "check_balance")  # their lines may say the same of several things
MIN_SENTENCE_CHARACTERS = 30  # a shorter one may stand twice, as facts do

# Words, but for what an id holds by chance, with the tools whose answers must not have them; "" for all.
UNWANTED = {
    "a source code": ("", re.compile(r"\bS[0-4](?:-table|-ratios)?\b(?!-)|\bdocs-prose\b")),
    "a default in brackets": ("", re.compile(r"\(default\)")),
    "that there is nothing to do": ("", re.compile(r"[Nn]othing (?:more|else) to do")),
    "advice to free places": (
        "upload_file generate_image generate_video",
        re.compile(r"frees? (?:quota|its place)"),
    ),
    "a callback_url": ("list_models", re.compile(r"callback_url")),
    "guidance on polling": ("check_task generate_image generate_video generate_audio", re.compile(r"(?i)(?<!-)\bpoll")),
    "reservation or settlement": (
        "check_task generate_image generate_video generate_audio",
        re.compile(r"(?<!-)\b(?:reserv|settle)|\bonly a hold\b", re.IGNORECASE),
    ),
}


def offences(tool: str, text: str) -> list[str]:
    """What is wrong with the text of an answer of ``tool``."""
    links = Counter(link.rstrip(".,;:") for link in _LINK.findall(text))
    parts = [] if tool in LISTS else _SENTENCE.split(text)
    sentences = Counter(part.strip() for part in parts if len(part) >= MIN_SENTENCE_CHARACTERS)
    money = [line for line in text.splitlines() if line.startswith(("Charged:", "Held:"))]
    return [
        *(f"a link {count} times: {link}" for link, count in links.items() if count > 1),
        *(f"a sentence {count} times: {part}" for part, count in sentences.items() if count > 1),
        *(f"a time without its distance: {line}" for line in text.splitlines() if _lacks_distance(line)),
        *([f"{len(money)} lines for money"] if len(money) > 1 else []),
        *(
            f"{what}: {match.group()}"
            for what, (tools, pattern) in UNWANTED.items()
            if (not tools or tool in tools.split()) and (match := pattern.search(text))
        ),
    ]


def _lacks_distance(line: str) -> bool:
    return bool(_TIME.search(line)) and not _DISTANCE.search(line)
