-- Raise the version of an account's record, never lower it. KEYS[1]: the record. ARGV: the version, which change this is
-- (a random name, or nothing), then pairs: what changed (an id), and its state as JSON, its tombstone.
-- It makes the record where that is absent: a check that read its seed before the change must find it stale.
-- Returns 0, or the version that was there where a later one was: changes have overtaken one another, or PostgreSQL was
-- restored. Returns it below 0 where another change had this very version: PostgreSQL has given it twice, so it was.
--
-- 'changes' is the last versions and their changes, " 7=name 8=name": so a version that was given twice is found although
-- others have come since, and whichever of them came first.
-- 'tombstone:<id>' is "<version> <when, in µs> <state>"; an older change that arrives late does not replace a newer one.
-- 'previous:<id>' is lines of "<when it was replaced> <state>", the tombstones that it had before: after a restore one
-- may be replaced by a change that PostgreSQL made without knowing of it.
-- A version of this script before tombstones leaves them alone, and decide.lua reads none of this.

local RECORD_TTL_MS = '6048000000' -- decide.lua's: longer than the 7 days that a tombstone must last
local MAX_FIELDS, KEPT_US, PRUNE_US = 2000, 7 * 86400 * 1000000, 3600 * 1000000
local MAX_CHANGES, MAX_PREVIOUS, BURST_US = 4096, 16, 60 * 1000000 -- the first: bytes of 'changes', some 150 of them

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
    local pattern = string.find(fields[index], '^tombstone:') and '^%d+ (%d+) '
      or string.find(fields[index], '^previous:') and '^(%d+) '
    local at = pattern and string.match(fields[index + 1], pattern)
    if at and now - tonumber(at) > KEPT_US then redis.call('HDEL', KEYS[1], fields[index]) end
  end
end

-- Keep a tombstone that is replaced, with those that were within the last minute: one of them may be a lost change.
local function keep(id, before)
  local name, lines = 'previous:' .. id, {}
  for line in string.gmatch(redis.call('HGET', KEYS[1], name) or '', '[^\n]+') do
    if now - (tonumber(string.match(line, '^(%d+) ')) or 0) < BURST_US then lines[#lines + 1] = line end
  end
  lines[#lines + 1] = text(now) .. ' ' .. (string.match(before, '^%d+ %d+ (.*)$') or '')
  while #lines > MAX_PREVIOUS do table.remove(lines, 1) end
  redis.call('HSET', KEYS[1], name, table.concat(lines, '\n'))
end

if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'since', text(now))
  redis.call('PEXPIRE', KEYS[1], RECORD_TTL_MS)
end
local version = tonumber(ARGV[1])
for index = 3, #ARGV, 2 do
  local name = 'tombstone:' .. ARGV[index]
  local before = redis.call('HGET', KEYS[1], name)
  local before_version = before and string.match(before, '^(%d+) ')
  if not before or tonumber(before_version or '0') < version then
    if before_version then keep(ARGV[index], before) end
    redis.call('HSET', KEYS[1], name, ARGV[1] .. ' ' .. text(now) .. ' ' .. ARGV[index + 1])
  end
end
if #ARGV > 2 then
  redis.call('PEXPIRE', KEYS[1], RECORD_TTL_MS)
  prune()
end
local change = ARGV[2] or ''
local changes = redis.call('HGET', KEYS[1], 'changes') or ''
local before = string.match(changes, ' ' .. ARGV[1] .. '=(%S+)')
if not before then
  local last = redis.call('HGET', KEYS[1], 'change') or '' -- all that a version of this script before 'changes' left
  if string.find(last, ARGV[1] .. ' ', 1, true) == 1 then before = string.sub(last, #ARGV[1] + 2) end
end
local known = tonumber(redis.call('HGET', KEYS[1], 'version') or '')
if known and change ~= '' and before and before ~= change then return -known end
if change ~= '' and not before then
  changes = changes .. ' ' .. ARGV[1] .. '=' .. change
  if #changes > MAX_CHANGES then changes = string.sub(changes, string.find(changes, ' ', -MAX_CHANGES, true) or 1) end
  redis.call('HSET', KEYS[1], 'changes', changes)
end
if known and known >= version then return known > version and known or 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1])
if change ~= '' then redis.call('HSET', KEYS[1], 'change', ARGV[1] .. ' ' .. change) end
return 0
