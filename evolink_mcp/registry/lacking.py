"""What a wish lacks: what no model has, what nobody knows of some, and what has no price."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from evolink_mcp.registry.amounts import Need
from evolink_mcp.registry.text import listed, number
from evolink_mcp.registry.traits import Traits

MAX_NEAREST = 5
"""Of models that lack something: so many show what comes nearest."""
# What a need weighs where it is not met: a name says more than a kind, a kind more than a figure.
_WEIGHTS = {"name": 3.0, "kind": 4.0, "word": 3.0, "seconds": 2.0, "shorter": 2.0}
Met = Callable[[Need, Traits], float]


def priced(
    needs: Sequence[Need], candidates: Sequence[Traits], prices: Mapping[str, tuple[float, float]]
) -> tuple[list[Need], list[str]]:
    """The needs, those of a price with the models that meet them; and what to say of the others."""
    wished, notes = list[Need](), list[str]()
    for need in needs:
        if need.kind != "credits":
            wished.append(need)
        elif prices:
            names = (traits.model.id for traits in candidates)
            within = tuple(name for name in names if name in prices and prices[name][0] <= need.amount)
            wished.append(replace(need, names=within))
            if any(traits.model.id not in prices for traits in candidates):
                notes = ["Models without a known price are left out."]
        else:
            notes = [f"Not looked for: {need.text}."]
    return wished, notes


def doubts(hard: Sequence[Need], pool: Sequence[Traits], met: Met) -> list[str]:
    """Which models may fit too, but no page says so."""
    doubtful: dict[str, list[str]] = {}
    for traits in pool:
        shares = [met(need, traits) for need in hard]
        if traits.model.status == "active" and 0 < min(shares, default=1) < 1:
            unknown = [in_words(need) for need, share in zip(hard, shares, strict=True) if share < 1]
            doubtful.setdefault(listed(unknown), []).append(traits.model.id)
    return [
        f"Left out, since nobody says whether they have {what}: {', '.join(names[:MAX_NEAREST])}"
        f"{f' and {len(names) - MAX_NEAREST} more' if len(names) > MAX_NEAREST else ''}."
        for what, names in doubtful.items()
    ]


def nobody(
    hard: Sequence[Need], everybody: Sequence[Traits], met: Met, prices: Mapping[str, tuple[float, float]]
) -> str:
    """Says plainly which needs no model meets, and beside which others; and the nearest figure that exists."""
    pool, failing = everybody, list[Need]()
    for need in sorted(hard, key=weight, reverse=True):
        able = [traits for traits in pool if met(need, traits) == 1]
        pool, failing = (able, failing) if able else (pool, [*failing, need])
    others = [in_words(need) for need in hard if need not in failing]
    alone = all(met(need, traits) < 1 for traits in everybody for need in failing)
    beside = f" together with {listed(others)}" if others and not alone else ""
    text = f"No model here has {listed(map(in_words, failing))}{beside}."
    kinds = {need.kind for need in failing}
    longest = max(traits.longest for traits in pool)
    if longest and "seconds" in kinds:
        text += f" The longest make {number(longest)} s."
    shortest = [traits.shortest for traits in pool if traits.shortest is not None]
    if shortest and "shorter" in kinds:
        text += f" The shortest make {number(min(shortest))} s."
    known = [prices[traits.model.id][0] for traits in pool if traits.model.id in prices]
    if known and "credits" in kinds:
        text += f" The lowest that is known is {number(min(known))}."
    return f"{text} These come nearest."


def weight(need: Need) -> float:
    """What a need weighs where it is not met."""
    return _WEIGHTS["kind"] if need.text.startswith("kind:") else _WEIGHTS.get(need.kind, 1.5)


def in_words(need: Need) -> str:
    """A need in a few words."""
    return need.text.removeprefix("kind:").replace(" | ", " or ")
