-- Raise fields of an account's record, never lower them. KEYS[1]: the record. ARGV: field, number, …
-- A version makes the record where it is absent: a check that read its seed before the change must find it stale.

local RECORD_TTL_MS = '6048000000' -- decide.lua's

if redis.call('EXISTS', KEYS[1]) == 0 then
  if ARGV[1] ~= 'version' then return 0 end
  local clock = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'since', string.format('%.0f', clock[1] * 1000000 + clock[2]))
  redis.call('PEXPIRE', KEYS[1], RECORD_TTL_MS)
end
local raised = 0
for index = 1, #ARGV, 2 do
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[index]) or '')
  if not known or known < tonumber(ARGV[index + 1]) then
    redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
    raised = raised + 1
  end
end
return raised
