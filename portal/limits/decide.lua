-- Decide many checks at once. See portal/limits/__init__.py for the contract, requests.py for the field order.
-- KEYS: per check its account record, one state per subject, and its stored answer if it has a retry id.
-- ARGV[1]: msgpack. ARGV[2]: the latest instant (µs) at which anybody still waits for the answer, 0 if that is not known: a
-- server that was frozen must not count afterwards what was refused meanwhile.

local ADMITTED, RATE_LIMITED, QUOTA_EXCEEDED, STALE, UNSEEDED, CONFIRMED, REPEATED = 0, 1, 2, 3, 4, 5, 6
local CONSUME, CONFIRM = 0, 2
local RECORD_TTL_MS = '6048000000' -- 70 days: longer than two periods
local ANSWER_TTL_MS = '600000'

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local next_key = 0

local function take_key()
  next_key = next_key + 1
  return KEYS[next_key]
end

local function text(number)
  return string.format('%.0f', number)
end

-- False, or the status that sends the caller back: the record is missing, or newer than the policy.
local function record_problem(record, version, seed)
  local known = tonumber(redis.call('HGET', record, 'version') or '')
  if seed and (not known or known < seed[1]) then
    redis.call('HSET', record, 'version', text(seed[1]))
    redis.call('HSETNX', record, 'since', text(now))
    redis.call('PEXPIRE', record, RECORD_TTL_MS)
    known = seed[1]
  end
  if not known then return UNSEEDED end
  if version < known then return STALE end
  return false
end

-- The index of the period, the units used in it and their field; or nil and the status that sends the caller back.
local function period_used(record, quota, seed)
  for index, period in ipairs(quota[2]) do
    if period[2] <= now and now < period[3] then
      local field = 'used:' .. period[1]
      local used = redis.call('HGET', record, field)
      if used then return index - 1, tonumber(used), field end
      local known = seed and seed[2][period[1]]
      if known then
        redis.call('HSET', record, field, text(known))
        return index - 1, known, field
      end
      local since = tonumber(redis.call('HGET', record, 'since') or '')
      if since and since <= period[2] then return index - 1, 0, field end
      return nil, UNSEEDED
    end
  end
  return nil, STALE
end

-- Each subject's state as it is, and whether all of them admit their cost.
local function look(subjects, keys)
  local is_admitted, states, found = true, {}, {}
  for index, subject in ipairs(subjects) do
    local cost, windows, bucket = subject[1], subject[2], subject[3]
    if bucket then
      found[index] = read_bucket(keys[index], bucket, now)
      states[#states + 1] = bucket_state(found[index], bucket, cost)
    else
      found[index] = read_log(keys[index], now)
      for _, window in ipairs(windows) do states[#states + 1] = window_state(found[index], window, cost) end
    end
  end
  for _, state in ipairs(states) do is_admitted = is_admitted and state[3] == -1 end
  return is_admitted, states, found
end

local function consume(subjects, found)
  for index, subject in ipairs(subjects) do
    local cost, windows, bucket = subject[1], subject[2], subject[3]
    if cost > 0 and bucket then
      fill(found[index], bucket, cost)
    elseif cost > 0 then
      append(found[index], windows, cost)
    end
  end
end

local function decide(check, record, keys, answer_key)
  local version, mode, cost, subjects, quota, seed, blob = unpack(check, 1, 7)
  local problem = version > 0 and record_problem(record, version, seed)
  if problem then return { problem, now } end
  if mode == CONFIRM then return { CONFIRMED, now } end
  local stored = answer_key and redis.call('GET', answer_key)
  if stored then
    local first = cmsgpack.unpack(stored)
    return { REPEATED, first[2], first[3], first[4], first[5], first[6], first[1] }
  end
  local period, used, field = -1, -1, nil
  if quota then
    period, used, field = period_used(record, quota, seed)
    if not period then return { used, now } end
  end
  local is_admitted, states, found = look(subjects, keys)
  local status = is_admitted and ADMITTED or RATE_LIMITED
  if is_admitted and quota and quota[1] >= 0 and used + cost > quota[1] then status = QUOTA_EXCEEDED end
  if status == ADMITTED and mode == CONSUME then
    consume(subjects, found)
    if field and cost > 0 then
      redis.call('HINCRBY', record, field, text(cost))
      -- Once a period: a record in use must not end with counters that PostgreSQL does not have yet.
      if used == 0 then redis.call('PEXPIRE', record, RECORD_TTL_MS) end
    end
  end
  local result = { status, now, used, period, states }
  if answer_key and mode == CONSUME then
    result[6] = blob
    redis.call('SET', answer_key, cmsgpack.pack(result), 'PX', ANSWER_TTL_MS)
    result[6] = nil
  end
  return result
end

local latest = tonumber(ARGV[2])
if latest > 0 and now > latest then return cmsgpack.pack({}) end

local results = {}
for index, check in ipairs(cmsgpack.unpack(ARGV[1])) do
  local record, keys = take_key(), {}
  for subject = 1, #check[4] do keys[subject] = take_key() end
  results[index] = decide(check, record, keys, check[7] and take_key())
end
return cmsgpack.pack(results)
