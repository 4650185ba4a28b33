-- Take a try at a login's password before it is compared, as if it were to fail.
-- KEYS: failures of the login, its wait. ARGV: how long failures are remembered (ms), then the wait (s) after one, two, …
-- failures; the last one holds for all beyond. Returns {ms still to wait, or 0 for a place; s to wait if it fails}.
-- The caller gives the place back after a success, so of many tries at once only as many are judged as may fail.

local wait = redis.call('PTTL', KEYS[2])
if wait > 0 then return {wait, 0} end
local failures = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local delay = tonumber(ARGV[1 + math.min(failures, #ARGV - 1)])
if delay > 0 then redis.call('SET', KEYS[2], '1', 'EX', delay) end
return {0, delay}
