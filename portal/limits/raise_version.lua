-- Raise the version of an account's record, never lower it. KEYS[1]: the record. ARGV[1]: the version.
-- It makes the record where that is absent: a check that read its seed before the change must find it stale.

local RECORD_TTL_MS = '6048000000' -- decide.lua's

if redis.call('EXISTS', KEYS[1]) == 0 then
  local clock = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'since', string.format('%.0f', clock[1] * 1000000 + clock[2]))
  redis.call('PEXPIRE', KEYS[1], RECORD_TTL_MS)
end
local known = tonumber(redis.call('HGET', KEYS[1], 'version') or '')
if known and known >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1])
return 1
