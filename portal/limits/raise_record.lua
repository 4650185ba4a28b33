-- Raise fields of an account's record, never lower them. KEYS[1]: the record. ARGV: field, number, …
-- An absent record stays absent: the next check asks for a seed and gets the same facts from PostgreSQL.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local raised = 0
for index = 1, #ARGV, 2 do
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[index]) or '')
  if not known or known < tonumber(ARGV[index + 1]) then
    redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
    raised = raised + 1
  end
end
return raised
