-- Correct a counter of an account's record. KEYS[1]: the record. ARGV: field, units (may be negative).
-- An absent counter stays absent: it will be seeded from PostgreSQL, which has the correction.

if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
