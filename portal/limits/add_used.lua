-- Correct a counter of an account's record, once. KEYS: the record, the correction's mark. ARGV: field, units (may be
-- negative). An absent counter stays absent: it will be seeded from PostgreSQL, which has the correction.

local MARK_TTL_MS = '3600000' -- longer than an event waits in the outbox

if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', MARK_TTL_MS) then return 0 end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
