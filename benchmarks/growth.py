"""Memory after 10,000 calls, over stdio: does a server that works keep what it is done with?"""

from __future__ import annotations

from typing import Any

from benchmarks.child import Child, DidNotStart, spawned
from benchmarks.contenders import FLOOR, OURS, Contender, contenders
from benchmarks.figures import MB, Section
from benchmarks.gateway import gateway

WARM_UP = 2_000
CALLS = 10_000


def job(child: Child, calls: int) -> None:
    """Ours at work: one generate, one check of it, one look at the models, and again."""
    third = calls // 3
    child.calls("generate_image", [{"prompt": f"picture {number}"} for number in range(third)])
    child.calls("check_task", [{"task_id": f"task-unified-1-{number}", "wait_seconds": 0} for number in range(third)])
    child.calls("list_models", [{"query": "veo"}] * (calls - 2 * third))


def measure(contender: Contender, url: str) -> tuple[float, float, float]:
    """Bytes after the warm-up, bytes after 10,000 calls more, and calls/s."""
    env = {name: url for name in contender.env if name.startswith("EVOLINK_") and name.endswith("_URL")}
    with spawned(contender, env=env) as child:
        child.begin()
        resident: list[float] = []
        seconds = 0.0
        for calls in (WARM_UP, CALLS):
            before = child.age
            if contender is OURS:
                job(child, calls)
            else:
                assert contender.call is not None
                tool, arguments = contender.call
                child.calls(tool, [arguments] * calls)
            seconds = child.age - before
            resident.append(child.resident())
    return resident[0], resident[1], CALLS / seconds


def checked() -> dict[str, dict[str, float]]:
    """What the budget needs: ours alone."""
    with gateway() as url:
        before, after, _ = measure(OURS, url)
    return {"growth": {"mb": (after - before) / MB}}


def sections(*, quick: bool = False) -> dict[str, Section]:
    """One run each: it is long enough to be its own median."""
    who = [OURS, FLOOR] if quick else contenders()
    rows, more = list[list[str]](), dict[str, Any]()
    with gateway() as url:
        for contender in who:
            try:
                before, after, rate = measure(contender, url)
            except (DidNotStart, OSError) as error:
                rows.append([contender.name, contender.missing or f"does not start: {error}", "–", "–"])
                continue
            more[contender.name] = (after - before) / MB
            rows.append(
                [
                    contender.name,
                    f"{before / MB:.1f}",
                    f"{after / MB:.1f} ({(after - before) / MB:+.1f})",
                    f"{rate:,.0f}",
                ]
            )
    ours = more[OURS.name]
    return {
        "growth": Section(
            f"Memory after {CALLS:,} calls",
            ["server", f"after a warm-up of {WARM_UP:,}, MB", "then, MB", "calls/s"],
            rows,
            f"Ours grows by {ours:.1f} MB. It submits, checks and lists in equal parts, against a gateway on loopback; "
            "the others make a call they answer, or refuse, without a gateway, so calls/s do not compare.",
            {"mb": ours},
        )
    }
