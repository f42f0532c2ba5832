"""A real store whose scripts go by a clock and a run id of the test's own: no second has to pass, and none passes."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis

# Around a script: the last two keys are the time and the run id. What ends is kept in ``ends``, in ms.
CLOCKWORK = """
local real, clock, run = redis, tonumber(KEYS[#KEYS - 1]), KEYS[#KEYS]
local redis = {}
function redis.call(command, name, ...)
  local values, ms = {...}, nil
  if command == 'TIME' then return {math.floor(clock), math.floor(clock % 1 * 1000000)} end
  if command == 'PEXPIRE' then
    command, ms, values = 'EXISTS', values[1], {}
  elseif command == 'SET' and values[2] == 'PX' then
    ms, values = values[3], {values[1]}
  end
  local answer = real.call(command, name, unpack(values))
  if command == 'SET' or real.call('EXISTS', name) == 0 then real.call('ZREM', 'ends', name) end
  if ms and real.call('EXISTS', name) == 1 then real.call('ZADD', 'ends', clock * 1000 + ms, name) end
  return answer
end
function redis.pcall(command)
  assert(command == 'INFO')
  return 'run_id:' .. run
end
local function act()
THE SCRIPT
end
for _, name in ipairs(real.call('ZRANGEBYSCORE', 'ends', '-inf', '(' .. clock * 1000)) do
  real.call('DEL', name)
  real.call('ZREM', 'ends', name)
end
local answer, state = act(), {}
for _, name in ipairs(real.call('KEYS', '*')) do
  local kind = real.call('TYPE', name).ok
  if name == 'ends' then
  elseif kind == 'zset' then state[name] = real.call('ZRANGE', name, 0, -1, 'WITHSCORES')
  elseif kind == 'hash' then state[name] = real.call('HGETALL', name)
  else state[name] = real.call('GET', name) end
end
return {answer, cjson.encode(state)}
"""
PLAIN = """
local command = table.remove(ARGV, 1)
return redis.call(command, KEYS[1], unpack(ARGV))
"""


class ClockworkStore:
    """Commands that are sent all at once, each at a time and in a run of its own."""

    def __init__(self, port: int) -> None:
        self._client: Any = Redis(port=port, decode_responses=True, protocol=2)
        self._line: Any = self._client.pipeline(transaction=False)

    def add(self, now: float, run: str, *command: str | int | float) -> None:
        """One more command."""
        match command:
            case ("EVAL", str(script), int(count), *values):
                keys, arguments = values[:count], values[count:]
            case ("FLUSHALL",):
                script, keys, arguments = "return real.call('FLUSHALL')", (), ()
            case (name, *arguments):
                script, keys, arguments = PLAIN, arguments[:1], [name, *arguments[1:]]
            case _:
                raise AssertionError("no command")
        self._line.execute_command(
            "EVAL", CLOCKWORK.replace("THE SCRIPT", script), len(keys) + 2, *keys, now, run, *arguments
        )

    def answers(self) -> list[tuple[Any, dict[str, Any]]]:
        """Those to all that was added since the last time, each with what the store held then; first it is empty."""
        self._client.flushall()
        return [(answer, json.loads(state)) for answer, state in self._line.execute()]

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()
