"""What the store itself does for the ledger that replicas share: each script is one step that nothing comes between."""

from __future__ import annotations

from evolink_mcp.jobs.ledger import KEEP_SECONDS, REPEAT_SECONDS, SILENT_SECONDS

ANNOUNCE_SECONDS = 2.0  # in which every replica has put its marks into a store that lost them
MISSING_SECONDS = 8.0  # the same for one that others knew before, however little it is let run: then it has died
CANCEL_SECONDS = 60  # for which a cancel is kept: replicas take it in within a second, and later after an outage
MAX_CANCELS = 2_000
KEEP_MS = str(int(KEEP_SECONDS * 1000))

# Whether nothing may be decided now: the store is new, or a replica has been silent. Whoever was silent together with
# the one who asks is missing: the store was away, and everybody is to speak first. KEYS 1 to 5 are the replicas, the
# life of the store, whether all is unsure, the missing, and until when each has told its hang-ups (where it said
# goodbye, a time to come); ARGV 1 is this replica. Sets `now` in seconds, and `life`: what one has, the next may not.
SURE = f"""
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local life
local function unsure()
  local info = redis.pcall('INFO', 'server')
  local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unnamed'
  life = redis.call('GET', KEYS[2]) or ''
  local new = string.match(life, '^%S*') ~= run
  local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', new and '+inf' or now - {SILENT_SECONDS})
  local away = new
  for _, name in ipairs(silent) do away = away or name == ARGV[1] end
  for _, name in ipairs(silent) do
    redis.call('ZREM', KEYS[1], name)
    if away and name ~= ARGV[1] then redis.call('ZADD', KEYS[4], now + {MISSING_SECONDS}, name) end
  end
  if new then
    life = run .. ' ' .. time[1] .. '.' .. time[2]
    redis.call('SET', KEYS[2], life)
  end
  if new or #silent > 0 then
    redis.call('SET', KEYS[3], '1', 'PX', {int(ANNOUNCE_SECONDS * 1000)})
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
  return redis.call('EXISTS', KEYS[3]) == 1 or redis.call('ZCARD', KEYS[4]) > 0
         or not redis.call('ZSCORE', KEYS[1], ARGV[1])
end
local function page(wait)
  return {{tostring(now), wait and 1 or 0, redis.call('HGETALL', KEYS[6]),
           redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'), redis.call('ZRANGE', KEYS[5], 0, -1, 'WITHSCORES')}}
end
"""
# ARGV: replica, ref, mark, then the refs that may be passed, and until when it waits for the answer: what comes later
# does nothing. Empty where the mark was made, or is there: it hides nothing that has become of it.
BEGIN = f"""{SURE}
if unsure() or now > tonumber(ARGV[#ARGV]) then return page(true) end
local passed = {{[ARGV[2]] = true}}
for i = 4, #ARGV - 1 do passed[ARGV[i]] = true end
local fields, beside = redis.call('HGETALL', KEYS[6]), false
for i = 1, #fields, 2 do
  local is_mark, mark = pcall(cjson.decode, fields[i + 1])
  local written = is_mark and mark.holder == '' and mark.delivery
  if written and written.at < now - {REPEAT_SECONDS} then
    redis.call('HDEL', KEYS[6], fields[i])
  else
    beside = beside or not passed[fields[i]]
  end
end
if beside then return page(false) end
redis.call('HSETNX', KEYS[6], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[6], {KEEP_MS})
return {{}}
"""
PEEK = f"{SURE} return page(unsure())"
# ARGV: replica, ref, the holder to follow, and until when it waits for the answer. 1 where the claim succeeded, 0 where
# not, -1 where nobody can tell yet.
CLAIM = f"""{SURE}
if unsure() or now > tonumber(ARGV[4]) then return -1 end
local raw = redis.call('HGET', KEYS[6], ARGV[2])
if not raw then return 0 end
local mark = cjson.decode(raw)
if mark.holder ~= '' and mark.holder ~= ARGV[1] and mark.holder ~= ARGV[3] then return 0 end
mark.holder, mark.delivery = ARGV[1], nil
redis.call('HSET', KEYS[6], ARGV[2], cjson.encode(mark))
redis.call('PEXPIRE', KEYS[6], {KEEP_MS})
return 1
"""
# ARGV: replica, ref, mark, whether it may be new here, and until when it waits for the answer (0: that is not known):
# what comes later would bring back what is over, and does nothing (-1). An outcome stays, and so does a holder who is
# somebody else.
PUT = f"""
local time, limit = redis.call('TIME'), tonumber(ARGV[5])
if limit > 0 and tonumber(time[1]) + tonumber(time[2]) / 1000000 > limit then return -1 end
local mark, raw = cjson.decode(ARGV[3]), redis.call('HGET', KEYS[1], ARGV[2])
if raw then
  local old = cjson.decode(raw)
  if old.holder ~= ARGV[1] then mark.holder, mark.delivery = old.holder, old.delivery end
  if next(mark.outcome) == nil then mark.outcome = old.outcome end
elseif ARGV[4] == '0' then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(mark))
redis.call('PEXPIRE', KEYS[1], {KEEP_MS})
return 1
"""
# ARGV: replica, ref, whether whoever holds it may be told that it is gone.
FORGET = """
local raw = redis.call('HGET', KEYS[1], ARGV[2])
if raw and (ARGV[3] == '1' or cjson.decode(raw).holder == ARGV[1]) then redis.call('HDEL', KEYS[1], ARGV[2]) end
return 1
"""
# ARGV: replica, the life that it has told all its marks, if it has, until when it has told its hang-ups (0: it does not
# say), then the replicas that it knew before. Where the marks are to be put first, it is missing for so long, and the
# answer is the life to put them in. Else the time, the replicas, and the life.
BEAT = f"""{SURE}
unsure()
local function has_left(name) return tonumber(redis.call('ZSCORE', KEYS[5], name) or 0) > now + {MISSING_SECONDS} end
if ARGV[2] ~= life and (ARGV[2] ~= '' or not redis.call('ZSCORE', KEYS[1], ARGV[1])) then
  if not has_left(ARGV[1]) then redis.call('ZADD', KEYS[4], now + {MISSING_SECONDS}, ARGV[1]) end
  redis.call('PEXPIRE', KEYS[4], {KEEP_MS})
  return life
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
local told = tonumber(ARGV[3])
if told > 0 then redis.call('ZADD', KEYS[5], math.min(told, now), ARGV[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - {KEEP_SECONDS})
for i = 4, #ARGV do
  if not has_left(ARGV[i]) and not redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    redis.call('ZADD', KEYS[4], 'NX', now + {MISSING_SECONDS}, ARGV[i])
  end
end
for _, i in ipairs({{1, 2, 4, 5}}) do redis.call('PEXPIRE', KEYS[i], {KEEP_MS}) end
return {{tostring(now), redis.call('ZRANGE', KEYS[1], 0, -1), life}}
"""
# ARGV: replica. It lives, or is missed for so long again. Of whom the store knows nothing, it may have lost marks.
LIVE = f"""{SURE}
unsure()
for i, at in pairs({{[1] = now, [4] = now + {MISSING_SECONDS}}}) do
  if redis.call('ZSCORE', KEYS[i], ARGV[1]) then
    redis.call('ZADD', KEYS[i], at, ARGV[1])
    redis.call('PEXPIRE', KEYS[i], {KEEP_MS})
  end
end
return 1
"""
# ARGV: replica. It is not missed: it has told all there is.
GOODBYE = f"""{SURE}
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[5], now + {KEEP_SECONDS}, ARGV[1])
redis.call('PEXPIRE', KEYS[5], {KEEP_MS})
return 1
"""
# ARGV: of each cancel its names, when it came (0: that is not known), and how long ago. In the order in which they were
# told, so that nobody has to read one twice; the newest are kept, and none of a time to come.
CANCEL = f"""
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
for i = 1, #ARGV, 3 do
  local at = tonumber(ARGV[i + 1])
  if at == 0 then at = now - tonumber(ARGV[i + 2]) end
  redis.call('ZADD', KEYS[1], now, ARGV[i] .. ' ' .. string.format('%.6f', at))
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - {CANCEL_SECONDS})
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + 1, '+inf')
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -{MAX_CANCELS + 1})
redis.call('PEXPIRE', KEYS[1], {CANCEL_SECONDS * 1000})
return 1
"""
