"""What an owner leaves unclaimed is bounded, and pushes out nobody else's."""

from __future__ import annotations

import pytest

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.jobs import lines as module
from evolink_mcp.jobs.delivery import Listener
from evolink_mcp.jobs.ledger import KEEP_SECONDS, Key
from evolink_mcp.jobs.lines import Lines
from evolink_mcp.jobs.outcomes import Created, Outcome, Unknown
from evolink_mcp.jobs.purchase import Buyer, Purchase
from tests.support import FakeClock
from tests.unit.shop import Shop, ShopOrder

UNKNOWN = Unknown(OutcomeUnknown("?", code="x"))


def park(lines: Lines, owner: str, intent: str, outcome: Outcome | None = None) -> Purchase:
    order = ShopOrder(Shop(), key=Key(owner, intent))
    purchase = Purchase(order, Buyer(Listener(), 45.0), 1.0)
    purchase.outcome, purchase.buyer = outcome or Created("task"), None
    lines.add(purchase)
    lines.park(purchase)
    return purchase


def owners(lines: Lines) -> list[str]:
    return sorted(purchase.key.owner for purchase in lines)


def test_one_owner_keeps_the_newest_and_pushes_out_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNCLAIMED_PER_OWNER", 3)
    lines = Lines(FakeClock())
    park(lines, "quiet", "i0")
    parked = [park(lines, "loud", f"i{number}") for number in range(5)]
    assert owners(lines) == ["loud", "loud", "loud", "quiet"]
    assert [purchase for purchase in lines if purchase.key.owner == "loud"] == parked[2:]


def test_an_unknown_outcome_goes_before_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNCLAIMED_PER_OWNER", 2)
    lines = Lines(FakeClock())
    task = park(lines, "o", "i0")
    park(lines, "o", "i1", UNKNOWN)
    newest = park(lines, "o", "i2")
    assert list(lines) == [task, newest]


def test_made_up_owners_push_out_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNCLAIMED", 5)
    lines = Lines(FakeClock())
    park(lines, "victim", "i0")
    for number in range(50):
        park(lines, f"made-up-{number}", "i0")
    assert len(list(lines)) == 5
    assert "victim" in owners(lines)


def test_of_all_whoever_has_the_most_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNCLAIMED", 4)
    lines = Lines(FakeClock())
    for owner in ("a", "b", "b", "b", "c"):
        park(lines, owner, "i0")
    assert owners(lines) == ["a", "b", "b", "c"]


def test_what_nobody_claims_is_gone_after_ten_minutes() -> None:
    clock = FakeClock()
    lines = Lines(clock)
    park(lines, "o", "i0")
    clock.time += KEEP_SECONDS
    assert lines.line(Key("o", "i0")).purchases
    clock.time += 1
    assert not lines.line(Key("o", "i0")).purchases
    assert not list(lines)


def test_a_purchase_that_was_claimed_again_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNCLAIMED_PER_OWNER", 1)
    lines = Lines(FakeClock())
    claimed = park(lines, "o", "i0")
    lines.unpark(claimed)
    park(lines, "o", "i1")
    assert len(list(lines)) == 2


def test_what_another_process_has_claimed_pushes_out_nothing_and_is_gone_after_ten_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_UNCLAIMED_PER_OWNER", 1)
    clock = FakeClock()
    lines = Lines(clock)
    for number in range(3):
        claimed = park(lines, "o", f"i{number}")
        lines.unpark(claimed)
        claimed.is_claimed = True
        lines.park(claimed)
    park(lines, "o", "mine")
    assert [each.key.intent for each in lines] == ["i2", "mine"]
    assert lines.unclaimed == 1
    clock.time += KEEP_SECONDS + 1
    assert lines.unclaimed == 0
    assert not list(lines)
