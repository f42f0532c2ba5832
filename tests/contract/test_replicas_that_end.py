"""What a replica that ends leaves to the others."""

from __future__ import annotations

from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.shared.ledger import SharedLedger
from evolink_mcp.jobs.shared.store import Store
from tests.contract.ledgers import settled
from tests.unit.shop import Process, Shop, ShopOrder


async def test_an_answer_that_settles_while_its_replica_ends_goes_to_its_repeat(stores: list[Store]) -> None:
    """The connection ends with the replica, so nobody can tell any more whether its client has heard it."""
    shop, caller = Shop(), Listener("1", settle_seconds=60.0)
    replicas = [Process(SharedLedger(each)) for each in stores[:2]]
    for each in replicas:
        each.purchases.start()
    await settled(*(each.ledger for each in replicas))
    with listening(caller):
        async with replicas[0].purchases.buy(ShopOrder(shop)):
            pass
    caller.deliver(settles=True)
    await replicas[0].end()
    with listening(Listener("1", settle_seconds=60.0)):
        async with replicas[1].purchases.buy(ShopOrder(shop)) as bought:
            pass
    await replicas[1].end()
    assert (bought.product, bought.is_earlier, shop.paid) == ("task-1", True, ["task-1"])
