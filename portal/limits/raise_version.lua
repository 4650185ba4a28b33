-- Raise the version of an account's record, never lower it. KEYS[1]: the record. ARGV: the version, which change this is
-- (a random name, or nothing), then pairs: what changed (an id), and its state as JSON, its tombstone.
-- It makes the record where that is absent: a check that read its seed before the change must find it stale.
-- Returns 0, or the version that was there where another change had it or a later one: PostgreSQL may have been restored.
--
-- 'tombstone:<id>' is "<version> <when, in µs> <state>"; an older change that arrives late does not replace a newer one.
-- A version of this script before tombstones leaves them alone, and decide.lua reads none of this.

local RECORD_TTL_MS = '6048000000' -- decide.lua's: longer than the 7 days that a tombstone must last
local MAX_FIELDS, KEPT_US, PRUNE_US = 2000, 7 * 86400 * 1000000, 3600 * 1000000

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function text(number)
  return string.format('%.0f', number)
end

-- At most once an hour, and only where there are many: those that are older than they have to be.
local function prune()
  if redis.call('HLEN', KEYS[1]) <= MAX_FIELDS then return end
  if now - (tonumber(redis.call('HGET', KEYS[1], 'pruned') or '') or 0) < PRUNE_US then return end
  redis.call('HSET', KEYS[1], 'pruned', text(now))
  local fields = redis.call('HGETALL', KEYS[1])
  for index = 1, #fields, 2 do
    local at = string.find(fields[index], '^tombstone:') and string.match(fields[index + 1], '^%d+ (%d+) ')
    if at and now - tonumber(at) > KEPT_US then redis.call('HDEL', KEYS[1], fields[index]) end
  end
end

if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'since', text(now))
  redis.call('PEXPIRE', KEYS[1], RECORD_TTL_MS)
end
local version = tonumber(ARGV[1])
for index = 3, #ARGV, 2 do
  local name = 'tombstone:' .. ARGV[index]
  local before = redis.call('HGET', KEYS[1], name)
  if not before or tonumber(string.match(before, '^(%d+) ') or '0') < version then
    redis.call('HSET', KEYS[1], name, ARGV[1] .. ' ' .. text(now) .. ' ' .. ARGV[index + 1])
  end
end
if #ARGV > 2 then
  redis.call('PEXPIRE', KEYS[1], RECORD_TTL_MS)
  prune()
end
local known = tonumber(redis.call('HGET', KEYS[1], 'version') or '')
if known and known >= version then
  local change = redis.call('HGET', KEYS[1], 'change')
  local is_other = change and string.find(change, ARGV[1] .. ' ', 1, true) == 1 and change ~= ARGV[1] .. ' ' .. (ARGV[2] or '')
  if known > version or (is_other and ARGV[2] and ARGV[2] ~= '') then return known end
  return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[1])
if ARGV[2] and ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'change', ARGV[1] .. ' ' .. ARGV[2]) end
return 0
