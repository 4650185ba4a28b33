-- Raise a period's units to what is counted in PostgreSQL, never lower them. KEYS[1]: the account's record.
-- ARGV: period, units counted there, what of them settlements added (may be negative).
-- `settled:<period>` is what of the settlements has arrived here: one that is still on its way must not be counted by
-- this first and by add_used.lua then. Without it the counter came from PostgreSQL, settlements and all.

local RECORD_TTL_MS = '6048000000' -- decide.lua's

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local used_field, settled_field = 'used:' .. ARGV[1], 'settled:' .. ARGV[1]
local arrived = redis.call('HGET', KEYS[1], settled_field)
if not arrived then
  redis.call('HSET', KEYS[1], settled_field, ARGV[3])
  arrived = ARGV[3]
end
local least = tonumber(ARGV[2]) - tonumber(ARGV[3]) + tonumber(arrived)
local known = tonumber(redis.call('HGET', KEYS[1], used_field) or '')
if known and known >= least then return 0 end
redis.call('HSET', KEYS[1], used_field, string.format('%.0f', least))
-- Where this is the period's first, decide.lua will not do it.
if not known then redis.call('PEXPIRE', KEYS[1], RECORD_TTL_MS) end
return 1
