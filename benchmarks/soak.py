"""Many agents for minutes, on two replicas whose store fails: is anything paid twice, lost, or growing?

    .venv/bin/python benchmarks/soak.py --seconds 600 --agents 50 [--strict] [--seed 1]

Starts a gateway that counts what is paid, a store (restarted twice, frozen and flushed once), two replicas of
``evolink-mcp http`` and a hostile caller. Agents hang up at random and repeat, on a replica by chance. What was paid
twice is read from the gateway's own list, and told apart by what the agent was told: that the call may repeat one that
was paid elsewhere, that its outcome is unknown, or nothing. Prints a JSON report with a line for people; exits 1 where
something was paid twice without a word (with ``--strict``: at all), where an id was lost, or where memory grew: by
more than a twentieth from the eleventh minute on, and before that, while answers that nobody heard gather, by a fifth.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.child import free_port, resident
from benchmarks.soak_report import TWICE, TWICE_UNKNOWN, TWICE_WITH_NOTE, is_settled, place_of, report
from benchmarks.store_life import StoreLife, running
from benchmarks.till import Till, open_till

DOUBT = re.compile("may repeat a request that|same request was (?:paid for|sent) once more")
LOOP_DELAY = re.compile(r"^evolink_mcp_loop_delay_seconds (\S+)", re.M)
CHARGED = re.compile(r"Charged: (\w+)")
OPEN_SECONDS = 60.0  # after which a connection that its client has ended is said to stay open


class Soak:
    """What is counted. An intent is one prompt; an agent repeats it until it has heard what became of it."""

    def __init__(self, till: Till, ports: list[int]) -> None:
        self.till = till
        self.ports = ports
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.latency = 0.0
        self.delays = dict.fromkeys(ports, 0.0)

    async def agent(self, number: int, end: float) -> None:
        """One agent, until ``end``."""
        chance, key = random.Random(number), f"sk-soak-{number:04}"
        missing: dict[str, str] = {}  # ids that no answer has named yet, and where
        for intent in range(100_000):
            if time.monotonic() > end:
                break
            await self._intent(f"a{number}i{intent}x", key, chance, missing)
            await asyncio.sleep(chance.uniform(0.05, 0.5))
        self.counts["ids lost"] += len(missing)
        self.wrong += missing.values()

    async def _intent(self, prompt: str, key: str, chance: random.Random, missing: dict[str, str]) -> None:
        wire = _wire(prompt, key, chance.choice((0, 0, 3)))
        gone = [await self._leave(wire, chance) for _ in range(chance.choice((0, 1, 1, 2)))]
        last, tries = "", list[str]()
        for _ in range(20):
            last = await self._ask(wire, chance)
            tries.append(last)
            charged = CHARGED.search(last)
            if last and "[busy]" not in last and (charged is None or charged[1] != "no"):
                break
            self.counts["tries repeated"] += 1
            await asyncio.sleep(1)
        contents = [*await asyncio.gather(*gone), *tries]
        for task_id in [each for each in missing if any(each in content for content in contents)]:
            del missing[task_id]
            self.counts["ids told with a later answer"] += 1
        heard = [self._ids(content, prompt) for content in contents]
        paid, intents = self.till.paid.pop(prompt, []), 1 + sum(map(bool, heard[:-1]))
        self.counts["intents"] += 1
        self.counts["paid"] += len(paid)
        self.counts["repeats that got the task of the request before"] += "identical request" in last
        told = any(DOUBT.search(content) for content in contents)
        unknown = any("Charged: unknown" in content for content in contents)  # whoever heard that asks for another one
        self.counts["answers: may repeat one paid elsewhere"] += told
        self.counts["answers: outcome unknown"] += unknown
        tails = [content[-400:] for content in contents]
        where = f"{time.strftime('%H:%M:%S')} {prompt}: paid {paid}, heard {heard}: {tails}"
        unheard = set(paid) - set[str]().union(*heard)
        if len(paid) > intents:
            self.counts[TWICE_WITH_NOTE if told else TWICE_UNKNOWN if unknown else TWICE] += 1
            if not (told or unknown):
                self.wrong.append(where)
        if not unknown and (told or len(paid) <= intents):
            missing.update(dict.fromkeys(unheard, where))

    async def _leave(self, wire: bytes, chance: random.Random) -> asyncio.Task[str]:
        """Sends a request and hangs up after a while; tells later what the socket was given nevertheless."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", chance.choice(self.ports))
        except OSError:
            return asyncio.create_task(asyncio.sleep(0, ""))
        writer.write(wire)
        arrival = asyncio.create_task(self._rest(reader, writer))
        await asyncio.wait([arrival], timeout=chance.choice((0.01, 0.05, 0.2, 1.0)))
        if not arrival.done():
            self.counts["hang-ups"] += 1
            with contextlib.suppress(OSError):
                writer.write_eof()
        await asyncio.sleep(chance.choice((0, 0.005, 0.1)))
        return arrival

    async def _rest(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """All that still comes over a connection."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                return (await reader.read()).decode().replace("\\n", "\n")
        except TimeoutError:
            self.wrong.append(
                f"{time.strftime('%H:%M:%S')} a connection stayed open: {writer.get_extra_info('sockname')}"
            )
        except OSError:
            pass
        finally:
            writer.close()
        return ""

    async def _ask(self, wire: bytes, chance: random.Random) -> str:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", chance.choice(self.ports))
            writer.write(wire)
            content = b""
            async with asyncio.timeout(60):
                while b'"result"' not in content and b'"error"' not in content and (chunk := await reader.read(65536)):
                    content += chunk
            writer.close()
            return content.decode().replace("\\n", "\n")
        except (OSError, TimeoutError) as error:
            self.counts[f"no answer: {type(error).__name__}"] += 1
            return ""

    def _ids(self, content: str, prompt: str) -> set[str]:
        return {task_id for task_id in self.till.paid.get(prompt, []) if task_id in content}

    async def hostile(self, end: float) -> None:
        """Large bodies, half requests and made-up keys, as fast as they are taken."""
        chance = random.Random(0)
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"x": ["y" * 100] * 30_000}})
        while time.monotonic() < end:
            key = f"made-up-{chance.random()}"
            wire = _wire("x", key, 0) if chance.random() < 0.5 else _post(key, body)
            with contextlib.suppress(OSError, TimeoutError):
                _, writer = await asyncio.open_connection("127.0.0.1", chance.choice(self.ports))
                writer.write(wire[: chance.choice((100, len(wire)))])
                await asyncio.sleep(0.05)
                writer.close()
            self.counts["hostile requests"] += 1

    async def probe(self, end: float) -> None:
        """How late a replica answers the simplest question, at worst, and how long its event loop was held up."""
        while time.monotonic() < end:
            for port in self.ports:
                start = time.monotonic()
                await _get(port, "/health")
                self.latency = max(self.latency, time.monotonic() - start)
                if delay := LOOP_DELAY.search(await _get(port, "/metrics")):
                    self.delays[port] = max(self.delays[port], float(delay[1]))
            await asyncio.sleep(0.5)


async def _get(port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    content = await reader.read()
    writer.close()
    return content.decode()


def _wire(prompt: str, key: str, wait_seconds: int) -> bytes:
    params = {"name": "generate_image", "arguments": {"prompt": prompt, "wait_seconds": wait_seconds}}
    return _post(key, json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))


def _post(key: str, content: str) -> bytes:
    return (
        f"POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        f"accept: application/json, text/event-stream\r\ncontent-length: {len(content)}\r\n\r\n{content}"
    ).encode()


async def _listens(port: int) -> None:
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                return
            await asyncio.sleep(0.05)


async def soak(seconds: float, agents: int, logs: Path, *, strict: bool, seed: int | None = None) -> dict[str, Any]:
    """Runs it and returns the report."""
    chance = random.Random(1)
    memory: list[tuple[float, float]] = []
    async with AsyncExitStack() as stack:
        till = await stack.enter_async_context(open_till())
        till.seconds = lambda: chance.choice((0.01, 0.1, 0.6))
        store, ports = free_port(), [free_port(), free_port()]
        of_store = StoreLife(store, logs)
        life = asyncio.create_task(of_store.live(seconds) if seed is None else of_store.live_at_random(seed))
        await _listens(store)
        env = {
            "EVOLINK_BASE_URL": till.url,
            "EVOLINK_FILES_URL": till.url,
            "EVOLINK_STATE_URL": f"redis://127.0.0.1:{store}/0",
            "EVOLINK_STATE_STRICT": str(int(strict)),
        }
        replicas: list[asyncio.subprocess.Process] = []
        for port in ports:
            command = (sys.executable, "-m", "evolink_mcp", "http", "--port", str(port), "--calls-per-minute", "0")
            replicas.append(await stack.enter_async_context(running(logs / f"http-{port}.log", *command, **env)))
        for port in ports:
            await _listens(port)
        counted, start = Soak(till, ports), time.monotonic()
        end = start + seconds
        work = [asyncio.create_task(counted.agent(number, end), name=f"agent {number}") for number in range(agents)]
        work += [asyncio.create_task(each(end), name=each.__name__) for each in (counted.hostile, counted.probe)]
        while time.monotonic() < end:
            memory.append((time.monotonic() - start, sum(resident(each.pid) for each in replicas) / 1024**2))
            await asyncio.sleep(1)
        _, unfinished = await asyncio.wait(work, timeout=90)
        counted.wrong += [f"{each.get_name()} does not end: it is at {place_of(each)}" for each in unfinished]
        for each in [*work, life]:
            each.cancel()
        await asyncio.gather(*work, life, return_exceptions=True)
    frame = {"seconds": seconds, "agents": agents, "strict": strict, "seed": seed, "unfinished agents": len(unfinished)}
    delays = list(counted.delays.values())
    return report(frame, counted.counts, memory, delays, counted.latency) | {"wrong": counted.wrong[:20]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--strict", action="store_true", help="EVOLINK_STATE_STRICT=1")
    parser.add_argument("--seed", type=int, help="by which the store fails every few seconds, not four times in all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evolink-soak-") as logs:
        told = asyncio.run(soak(options.seconds, options.agents, Path(logs), strict=options.strict, seed=options.seed))
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    broken = options.strict and told["paid twice, in all"]
    # What nobody heard is kept for ten minutes, so that memory is flat from the eleventh on.
    if is_settled(options.seconds):
        grew = told["memory growth once kept answers end, %"] > 5
    else:
        grew = told["memory growth, %"] > 20
    sys.exit(bool(told["wrong"] or broken) or grew)


if __name__ == "__main__":
    main()
