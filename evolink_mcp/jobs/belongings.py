"""Whose a task, a file or an asset is, where several people share one account.

An **asset** is what a task made that has no link, but a name for later calls: a persona, an element, a voice.

The gateway knows accounts only. What one person made or stored here is kept from the others; what nobody here made is
left to whoever has its id. Kept for a week: longer than a file lives, and than a task's links.

Ids of tasks and files are unique over accounts, so that whose they are holds when the account's key is replaced. Names
of assets are not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

KEEP_SECONDS = 7 * 24 * 3600
UNCERTAIN = "?"  # nobody's hash
MAX_OWNERS = 50_000  # in this process

Kind = Literal["task", "file", "asset"]


class Belongings(Protocol):
    """Owners by account, kind and id. Whatever goes wrong inside stays inside."""

    async def add(self, account: str, kind: Kind, name: str, owner: str) -> None:
        """Notes whose something is."""
        ...

    async def owners(self, account: str, kind: Kind, names: Sequence[str]) -> Mapping[str, str]:
        """The owners of those of the names that are known; ``UNCERTAIN`` where that cannot be told now."""
        ...


def realm_of(account: str, kind: Kind) -> str:
    """Within what a name is one thing's alone: the account, or "" for the whole gateway."""
    return account if kind == "asset" else ""


class LocalBelongings:
    """What this process knows, the oldest forgotten first."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, str] = OrderedDict()

    async def add(self, account: str, kind: Kind, name: str, owner: str) -> None:
        self._owners[f"{realm_of(account, kind)} {kind} {name}"] = owner
        while len(self._owners) > MAX_OWNERS:
            self._owners.popitem(last=False)

    async def owners(self, account: str, kind: Kind, names: Sequence[str]) -> Mapping[str, str]:
        realm = realm_of(account, kind)
        pairs = ((name, self._owners.get(f"{realm} {kind} {name}")) for name in names)
        return {name: owner for name, owner in pairs if owner is not None}
