"""Whose a task, a file or an asset is, once the account's key has been replaced."""

from __future__ import annotations

import pytest

from evolink_mcp.jobs.belongings import Kind, LocalBelongings


@pytest.mark.parametrize(("kind", "owners"), [("task", {"x-1": "alice"}), ("file", {"x-1": "alice"}), ("asset", {})])
async def test_what_has_an_id_of_the_gateway_keeps_its_owner_under_another_key(
    kind: Kind, owners: dict[str, str]
) -> None:
    belongings = LocalBelongings()
    await belongings.add("the old key's", kind, "x-1", "alice")
    assert await belongings.owners("the old key's", kind, ["x-1", "x-2"]) == {"x-1": "alice"}
    assert await belongings.owners("the new key's", kind, ["x-1", "x-2"]) == owners
