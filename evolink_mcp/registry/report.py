"""The report of one check."""

from collections.abc import Mapping, Sequence

from evolink_mcp.registry.bounds import MAX_FINDINGS, MAX_NAME_CHARACTERS
from evolink_mcp.registry.spec import EMPTY, FileFacts, Hold, Problem


class Report:
    """Collects problems and notes about one call. ``params`` is the call as the caller gave it, ``files`` what is known
    of the local files behind some of its links."""

    def __init__(self, name: str, params: Mapping[str, object], files: Mapping[str, FileFacts] = EMPTY) -> None:
        self.name = name
        self.params = params
        self.files = files
        self.synonyms: Mapping[str, Sequence[str]] = EMPTY
        """Other words for values, in lower case."""
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.doubts: set[str] = set()
        """Parameters that are sent although a source speaks against them."""

    def fault(
        self,
        held: tuple[Hold, str],
        parameter: str,
        text: str,
        *,
        value: str = "",
        allowed: str = "",
        takers: tuple[str, ...] = (),
    ) -> None:
        """A broken limit: a problem where it is refused, a note where it is warned of. ``value`` is short."""
        hold, source = held
        parameter = parameter[:MAX_NAME_CHARACTERS]
        message = _on_one_line(f"{parameter}: {text}") + (f" ({source})" if source else "")
        if hold == "warn":
            self.doubt(parameter, f"{message}; sent as given")
            return
        if not self.full:
            self.problems.append(Problem(parameter, f"{message}.", value, allowed, source, takers))

    def doubt(self, parameter: str, text: str) -> None:
        """A note on a parameter that is sent although nothing says that the model takes it so."""
        self.doubts.add(parameter.partition(".")[0])
        self.note(text)

    def note(self, text: str) -> None:
        if len(self.notes) < MAX_FINDINGS:
            self.notes.append(_on_one_line(text))

    @property
    def full(self) -> bool:
        """Whether there are so many problems that one more says nothing."""
        return len(self.problems) >= MAX_FINDINGS


def _on_one_line(text: str) -> str:
    """A text in which a caller's own names, which may hold anything, break no line."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
