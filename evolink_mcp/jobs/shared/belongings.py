"""Whose a task or a file is, known to all replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from evolink_mcp.gateway.values import as_list
from evolink_mcp.jobs.belongings import KEEP_SECONDS, UNCERTAIN, Kind, LocalBelongings, realm_of
from evolink_mcp.jobs.shared.store import Away, Store, key

TRIES = 3  # of half a second at most


class SharedBelongings:
    """Owners in the store, and what this process knows beside it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._local = LocalBelongings()

    async def add(self, account: str, kind: Kind, name: str, owner: str) -> None:
        await self._local.add(account, kind, name, owner)
        with suppress(Away):
            await self._insist("SET", key(realm_of(account, kind), f"{kind}-owner", name), owner, "EX", KEEP_SECONDS)

    async def owners(self, account: str, kind: Kind, names: Sequence[str]) -> Mapping[str, str]:
        known = await self._local.owners(account, kind, names)
        others = [name for name in names if name not in known]
        if not others:
            return known
        try:
            realm = realm_of(account, kind)
            values = await self._insist("MGET", *(key(realm, f"{kind}-owner", name) for name in others))
        except Away:
            return {**known, **dict.fromkeys(others, UNCERTAIN)}
        pairs = zip(others, as_list(values), strict=False)
        return {**known, **{name: owner for name, owner in pairs if isinstance(owner, str)}}

    async def _insist(self, *command: str | int) -> object:
        """A command's answer, asked for a few times: what is not told apart now may be shown to the wrong person.

        Raises:
            Away: There is none.
        """
        for _ in range(TRIES - 1):
            with suppress(Away):
                return await self._store.ask(*command, insist=True)
        return await self._store.ask(*command, insist=True)
