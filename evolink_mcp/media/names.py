"""Names of saved files: for people by date and words, for us by the end of the task's id, whatever the words are.

``20261127-lighthouse-on-a-cliff-at-dawn-2bh4d9l8-1.png``: the date, the prompt's first words, the end of the task's id,
the number of the result. The date comes first, so that no name is one that Windows keeps for itself.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from unicodedata import category, normalize

from evolink_mcp.gateway import wire
from evolink_mcp.guard.secrets import redact
from evolink_mcp.media.kinds import EXTENSIONS, safe

MAX_WORDS = 6
MAX_CHARACTERS = 32  # of the words; and so many bytes, which other scripts need more of
MAX_BYTES = 72
MAX_MODEL_CHARACTERS = 40
_MAX_LOOK = 400  # characters of a prompt in which its first words are
_ARTICLES = frozenset({"a", "an", "the"})
_JOINED = dict.fromkeys(map(ord, "'’"))  # don't is one word
_END = re.compile(r"[a-z0-9]{8,40}")  # of ids as the gateway makes them: random enough to be told apart by


def task_stem(task: wire.Task, prompt: str = "", *, whole_id: bool = False) -> str:
    """How all files of a task begin that is saved now; with the whole id where another task's id ends alike."""
    day = datetime.fromtimestamp(task.created, UTC).strftime("%Y%m%d") if task.created else "undated"
    words = slug(prompt) or safe(task.model)[:MAX_MODEL_CHARACTERS] or "model"
    return f"{day}-{words}-{safe(task.id) if whole_id else id_end(task.id)}"


def slug(prompt: str) -> str:
    """The first words of a prompt, of any script, in characters that every file system takes; "" where it has none.

    Where the names of files are in a narrower set than Unicode (a locale such as C or Latin-1), its characters only.
    """
    names = sys.getfilesystemencoding()
    text = normalize("NFKC", redact(prompt[:_MAX_LOOK])).translate(_JOINED).lower()
    text = text.encode(names, "replace").decode(names, "replace")
    words = "".join(each if category(each)[0] in "LMN" else " " for each in text).split()
    if len(words) > 1 and words[0] in _ARTICLES:
        del words[0]
    chosen = ""
    for word in words[:MAX_WORDS]:
        longer = f"{chosen}-{word}" if chosen else _cut(word)
        if longer != _cut(longer):
            break
        chosen = longer
    return chosen


def id_end(task_id: str) -> str:
    """What files of a task are found again by: the end of its id, or all of an id of another make."""
    end = task_id.rpartition("-")[2]
    return end if _END.fullmatch(end) else safe(task_id)


def saved_name(task_id: str, number: int) -> re.Pattern[str]:
    """What the name of a saved result looks like, those of earlier versions of this program included."""
    return _pattern(task_id, rf"-{number}\.(?:{'|'.join(EXTENSIONS.values())})")


def sidecar_name(task_id: str) -> re.Pattern[str]:
    """What the name of the file beside the results looks like."""
    return _pattern(task_id, r"\.json")


def _pattern(task_id: str, end: str) -> re.Pattern[str]:
    ids = "|".join(map(re.escape, (id_end(task_id), safe(task_id))))
    return re.compile(rf"(?:[0-9]{{8}}|undated)-(?:[^/]*-)?(?:{ids}){end}")


def _cut(text: str) -> str:
    """A text within the bounds."""
    return text[:MAX_CHARACTERS].encode("utf-8", "ignore")[:MAX_BYTES].decode("utf-8", "ignore")
