-- End a try of an address. KEYS as in take_address.lua. ARGV: name of the try, 1 if it failed, how long that counts (ms).

if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 or ARGV[2] ~= '1' then return 0 end
local failures = redis.call('INCR', KEYS[1])
if failures == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return failures
