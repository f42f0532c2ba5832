"""The scripts by which the store moves expenses and their sums, each in one step (see ``spending.py``)."""

from __future__ import annotations

from evolink_mcp.jobs.shared.store import PREFIX
from evolink_mcp.jobs.spending import FLIGHT_SECONDS, KEEP_SECONDS, MAX_ALIKE

EXPIRY = int(KEEP_SECONDS)
MAX_OPEN = 100  # of one owner
ALL = "all"

# `move` takes an expense (a hash) to a new state and new units ('' where unknown), and the sums of its day along.
_MOVE = f"""
local function is_final(state) return state == 'charged' or state == 'ended' end
local function count(day, state, units, sign)
  if state == '' then return end
  if units == '' then
    redis.call('HINCRBY', day, 'unknown', sign)
  else
    redis.call('HINCRBY', day, is_final(state) and 'charged' or 'held', sign * tonumber(units))
  end
  redis.call('EXPIRE', day, {EXPIRY})
end
local function days(owner, day)
  return {{'{PREFIX}' .. owner .. ':spent:' .. day, '{PREFIX}{ALL}:spent:' .. day}}
end
local function move(name, state, units)
  local old = redis.call('HMGET', name, 'owner', 'day', 'state', 'units', 'at')
  for _, day in ipairs(days(old[1], old[2])) do
    count(day, old[3], old[4], -1)
    count(day, state, units, 1)
    if old[3] == 'flight' and old[4] == '' then redis.call('HDEL', day, 'flight') end
    if state == 'flight' and units == '' then redis.call('HSET', day, 'flight', old[5]) end
  end
  redis.call('HSET', name, 'state', state, 'units', units)
end
local function record(name, owner, account, day, at, model, traits, seconds, count, units)
  if redis.call('EXISTS', name) == 1 then return end
  redis.call('HSET', name, 'owner', owner, 'account', account, 'day', day, 'at', at, 'model', model,
    'traits', traits, 'seconds', seconds, 'count', count, 'state', '', 'units', '', 'held', '0')
  redis.call('EXPIRE', name, {EXPIRY})
  local names = '{PREFIX}' .. owner .. ':open'
  redis.call('ZADD', names, at, name)
  redis.call('ZREMRANGEBYRANK', names, 0, -{MAX_OPEN + 1})
  redis.call('EXPIRE', names, {EXPIRY})
  move(name, 'flight', units)
end
local function sums(day)
  local found = redis.call('HMGET', day, 'charged', 'held', 'unknown', 'flight')
  return {{tonumber(found[1]) or 0, tonumber(found[2]) or 0, tonumber(found[3]) or 0, tonumber(found[4]) or -1}}
end
"""
# What every script is given of an expense: KEYS[1] its name, ARGV 1 to 9 its facts.
_RECORD = "record(KEYS[1], unpack(ARGV, 1, 9))"
# ARGV 10: now; 11 and 12: the limits of the caller and of all, -1 for none; 13: 1 to record it.
RESERVE = f"""{_MOVE}
for place, day in ipairs(days(ARGV[1], ARGV[3])) do
  local limit, found = tonumber(ARGV[10 + place]), sums(day)
  if limit >= 0 then
    local total, why = found[1] + found[2], nil
    if ARGV[9] ~= '' then
      if total + tonumber(ARGV[9]) > limit then why = 'over' end
    elseif total >= limit then
      why = 'over'
    elseif found[3] > 0 then
      local age = tonumber(ARGV[10]) - found[4]
      why = (found[4] >= 0 and age >= 0 and age < {FLIGHT_SECONDS}) and 'busy' or 'unclear'
    end
    if why then return {{why, place, found[1], found[2], found[3]}} end
  end
end
if ARGV[13] == '1' then {_RECORD} end
return {{}}
"""
_BIND = f"""
local function most(a, b)
  if a == '' or b == '' then return a .. b end
  return tonumber(a) > tonumber(b) and a or b
end
local function bind(name, task, state, units, told)
  redis.call('HSET', name, 'task', task)
  local held = tonumber(redis.call('HGET', name, 'held')) or 0
  if told ~= '' and tonumber(told) > held then
    held = tonumber(told)
    redis.call('HSET', name, 'held', told)
  end
  local facts = redis.call('HMGET', name, 'account', 'model', 'traits', 'seconds', 'count', 'state', 'owner', 'ref')
  redis.call('SET', '{PREFIX}' .. facts[1] .. ':expense:' .. task, name, 'EX', {EXPIRY})
  redis.call('ZREM', '{PREFIX}' .. facts[7] .. ':open', name)
  move(name, state, units)
  if state == 'charged' and facts[6] ~= 'charged' and units ~= '' then
    local row = units .. ' ' .. string.format('%d', held) .. ' ' .. facts[5] .. ' ' .. facts[4]
    for _, list in ipairs({{'{PREFIX}' .. facts[1] .. ':alike:' .. facts[2] .. ' ' .. facts[3]}}) do
      redis.call('LPUSH', list, row)
      redis.call('LTRIM', list, 0, {MAX_ALIKE - 1})
      redis.call('EXPIRE', list, {EXPIRY})
    end
    local range = '{PREFIX}' .. facts[1] .. ':charges'
    local low = tonumber(redis.call('HGET', range, 'low ' .. facts[2]))
    local high = tonumber(redis.call('HGET', range, 'high ' .. facts[2]))
    local each = math.floor(tonumber(units) / math.max(tonumber(facts[5]) or 1, 1))
    if not low or each < low then redis.call('HSET', range, 'low ' .. facts[2], each) end
    if not high or each > high then redis.call('HSET', range, 'high ' .. facts[2], each) end
    redis.call('EXPIRE', range, {EXPIRY})
  end
end
"""
# ARGV 10: the task; 11: its units, '' where it does not tell; 12 and 13: from how many units on to warn, -1 for never.
HOLD = f"""{_MOVE}{_BIND}
{_RECORD}
bind(KEYS[1], ARGV[10], 'held', most(ARGV[9], ARGV[11]), ARGV[11])
local due = {{}}
for place, day in ipairs(days(ARGV[1], ARGV[3])) do
  local from, found = tonumber(ARGV[11 + place]), sums(day)
  if from >= 0 and found[1] + found[2] >= from and redis.call('HSETNX', day, 'warned', '1') == 1 then
    due[#due + 1] = place
  end
end
return due
"""
DROP = f"""{_MOVE}
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local facts = redis.call('HMGET', KEYS[1], 'owner', 'task')
if facts[2] then return 0 end
move(KEYS[1], '', '')
redis.call('DEL', KEYS[1])
redis.call('ZREM', '{PREFIX}' .. facts[1] .. ':open', KEYS[1])
return 1
"""
DOUBT = f"""{_MOVE}
{_RECORD}
if redis.call('HGET', KEYS[1], 'task') then return 0 end
move(KEYS[1], 'doubt', redis.call('HGET', KEYS[1], 'units'))
return 1
"""
# KEYS[1]: where the name of the task's expense stands; ARGV: owner, task, model, state, units, from when to when it may
# have been made, units held at first, account, day, time, a new name, and before when what has no answer is lost. As
# ``jobs.spending.expense_of`` has it. The state and units before, and the units after; empty where nothing changed.
OBSERVE = f"""{_MOVE}{_BIND}
local name = redis.call('GET', KEYS[1])
if not name and ARGV[6] ~= '' then
  local names, settled = {{}}, true
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', '{PREFIX}' .. ARGV[1] .. ':open', ARGV[6], ARGV[7])) do
    local facts = redis.call('HMGET', each, 'model', 'state', 'units', 'at')
    if facts[1] == ARGV[3] then
      names[#names + 1] = each
      local lost = ARGV[13] ~= '' and tonumber(facts[4]) <= tonumber(ARGV[13])
      settled = settled and facts[2] == 'flight' and not lost
      if not name and facts[3] ~= '' and facts[3] == ARGV[8] then name = each end
    end
  end
  if not name and not settled then
    name = names[1]
    if #names > 1 then
      name = ARGV[12]
      record(name, ARGV[1], ARGV[9], ARGV[10], ARGV[11], ARGV[3], '', '', 1, '')
    end
  end
end
if not name or redis.call('EXISTS', name) == 0 then return {{}} end
local old = redis.call('HMGET', name, 'state', 'units')
local units = ARGV[4] == 'held' and most(old[2], ARGV[5]) or (ARGV[5] ~= '' and ARGV[5] or old[2])
if (old[1] == ARGV[4] and old[2] == units) or (is_final(old[1]) and not is_final(ARGV[4])) then return {{}} end
bind(name, ARGV[2], ARGV[4], units, ARGV[5])
return {{old[1], old[2], units}}
"""
