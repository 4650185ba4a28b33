-- Decide many checks at once. See portal/limits/__init__.py for the contract, requests.py for the field order.
-- KEYS: per check its account record, its logs, and its stored answer if it has a retry id. ARGV[1]: msgpack.

local ADMITTED, RATE_LIMITED, QUOTA_EXCEEDED, STALE, UNSEEDED, CONFIRMED, REPEATED = 0, 1, 2, 3, 4, 5, 6
local CONSUME, LOOK, CONFIRM = 0, 1, 2
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

-- A log entry: score = instant, member = running total of units (16 digits, so that equal instants keep their order)
-- and the entry's own units. The running total makes a window's sum one subtraction.
local function entry(pair)
  if not pair[1] then return nil end
  local total, units = string.match(pair[1], '^(%d+):(%d+)$')
  return { total = tonumber(total), units = tonumber(units), at = tonumber(pair[2]) }
end

local function entry_at(log, rank)
  return entry(redis.call('ZRANGE', log, rank, rank, 'WITHSCORES'))
end

-- When enough of the oldest units have left: the entry with which at least `need` units are gone.
local function leaving(log, first, need)
  if first.units >= need then return first end
  local base = first.total - first.units
  local low = redis.call('ZRANK', log, string.format('%016.0f:%.0f', first.total, first.units)) + 1
  local high = redis.call('ZCARD', log) - 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if entry_at(log, middle).total - base >= need then high = middle else low = middle + 1 end
  end
  return entry_at(log, low)
end

local function window_state(log, last, at, window, cost)
  local amount, length = window[1], window[2]
  local first = last and entry(redis.call('ZRANGEBYSCORE', log, '(' .. text(at - length), '+inf', 'WITHSCORES', 'LIMIT', 0, 1))
  local used = first and last.total - first.total + first.units or 0
  local reset = first and first.at + length - at or 0
  local wait = -1
  if cost > amount then
    wait = -2
  elseif used + cost > amount then
    wait = leaving(log, first, used + cost - amount).at + length - at
  end
  return { used, reset, wait }
end

-- The record of the account: nil when Redis must not decide, else the index of the period and the units used in it.
local function period_used(record, quota, seed)
  for index, period in ipairs(quota[2]) do
    if period[2] <= now and now < period[3] then
      local field = 'used:' .. period[1]
      local used = redis.call('HGET', record, field)
      if used then return index - 1, tonumber(used), field end
      if seed and seed[2][period[1]] then
        redis.call('HSET', record, field, text(seed[2][period[1]]))
        return index - 1, seed[2][period[1]], field
      end
      local since = tonumber(redis.call('HGET', record, 'since') or '')
      if since and since <= period[2] then return index - 1, 0, field end
      return nil
    end
  end
  return nil, STALE
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

local function consume(logs, check, field, record)
  local cost = check[3]
  for index, log in ipairs(logs) do
    local longest = 0
    for _, window in ipairs(check[4][index]) do longest = math.max(longest, window[2]) end
    redis.call('ZREMRANGEBYSCORE', log.key, '-inf', text(log.at - longest))
    local total = (log.last and log.last.total or 0) + cost
    redis.call('ZADD', log.key, text(log.at), string.format('%016.0f:%.0f', total, cost))
    redis.call('PEXPIRE', log.key, text(math.ceil((longest + math.max(0, log.at - now)) / 1000)))
  end
  if field then
    redis.call('HINCRBY', record, field, text(cost))
    redis.call('PEXPIRE', record, RECORD_TTL_MS)
  end
end

local function decide(check, record, logs, answer_key)
  local version, mode, cost, subjects, quota, seed, blob = unpack(check, 1, 7)
  local problem = version > 0 and record_problem(record, version, seed)
  if problem then return { problem, now } end
  if mode == CONFIRM then return { CONFIRMED, now } end
  if answer_key then
    local stored = redis.call('GET', answer_key)
    if stored then
      local first = cmsgpack.unpack(stored)
      return { REPEATED, first[2], first[3], first[4], first[5], first[6], first[1] }
    end
  end
  local period, used, field = -1, -1, nil
  if quota then
    period, used, field = period_used(record, quota, seed)
    if not period then return { used or UNSEEDED, now } end
  end
  local status, states = ADMITTED, {}
  for index, log in ipairs(logs) do
    log.last = entry_at(log.key, -1)
    log.at = math.max(now, log.last and log.last.at or 0)
    for _, window in ipairs(subjects[index]) do
      local state = window_state(log.key, log.last, log.at, window, cost)
      if state[3] ~= -1 then status = RATE_LIMITED end
      states[#states + 1] = state
    end
  end
  if status == ADMITTED and quota and quota[1] >= 0 and used + cost > quota[1] then status = QUOTA_EXCEEDED end
  if status == ADMITTED and mode == CONSUME and cost > 0 then consume(logs, check, field, record) end
  local result = { status, now, used, period, states }
  if answer_key and mode == CONSUME then
    result[6] = blob
    redis.call('SET', answer_key, cmsgpack.pack(result), 'PX', ANSWER_TTL_MS)
    result[6] = nil
  end
  return result
end

local results = {}
for index, check in ipairs(cmsgpack.unpack(ARGV[1])) do
  local record, logs = take_key(), {}
  for subject = 1, #check[4] do logs[subject] = { key = take_key() } end
  results[index] = decide(check, record, logs, check[7] and take_key())
end
return cmsgpack.pack(results)
