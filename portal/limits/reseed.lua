-- Forget the counted units of an account, so that the next check takes them from PostgreSQL. KEYS[1]: the record.
-- What is known of its policy stays. A later 'since' makes a missing counter unknown instead of zero.

local clock = redis.call('TIME')
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.find(name, '^used:') or string.find(name, '^settled:') then redis.call('HDEL', KEYS[1], name) end
end
redis.call('HSET', KEYS[1], 'since', string.format('%.0f', clock[1] * 1000000 + clock[2]))
return 1
