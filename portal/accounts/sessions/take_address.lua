-- Take a place among the tries of an address, which counts failures only.
-- KEYS: failures of the address, its tries under way. ARGV: name of the try, failures allowed, how long a try may take (ms).
-- Returns 0 for a place; ms to wait where too many have failed; -1 where tries under way, should they fail, would be too
-- many: ask again soon, for most of them succeed.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local failures = tonumber(redis.call('GET', KEYS[1]) or '0')
if failures >= tonumber(ARGV[2]) then return math.max(1, redis.call('PTTL', KEYS[1])) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if failures + redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) then return -1 end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 0
