-- Correct a period's units by a settlement, once. KEYS: the account's record, the settlement's mark.
-- ARGV: period, units (may be negative), what all settlements up to this one have added in PostgreSQL.
-- An absent counter stays absent: it will be seeded from PostgreSQL, which has the settlement. See raise_used.lua.

local MARK_TTL_MS = '3600000' -- longer than an event waits in the outbox

if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', MARK_TTL_MS) then return 0 end
local used_field, settled_field = 'used:' .. ARGV[1], 'settled:' .. ARGV[1]
if redis.call('HEXISTS', KEYS[1], used_field) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[1], settled_field) == 1 then
  redis.call('HINCRBY', KEYS[1], settled_field, ARGV[2])
else
  redis.call('HSET', KEYS[1], settled_field, ARGV[3])
end
return redis.call('HINCRBY', KEYS[1], used_field, ARGV[2])
