-- Decide many checks at once. See portal/limits/__init__.py for the contract, requests.py for the field order.
-- KEYS: per check its account record, one state per subject, and its stored answers: one per retry id.
-- ARGV[1]: msgpack, one flat array. ARGV[2]: the latest instant (µs) at which anybody still waits for the answer, 0 if that
-- is not known: a server that was frozen must not count afterwards what was refused meanwhile.
-- Each record and state is read once a call and written once, after the last check was decided.

local ADMITTED, RATE_LIMITED, QUOTA_EXCEEDED, STALE, UNSEEDED, CONFIRMED, REPEATED, FAILED = 0, 1, 2, 3, 4, 5, 6, 7
local REUSED = 8
local CONSUME, CONFIRM = 0, 2
local RECORD_TTL_MS = 6048000000 -- 70 days: longer than two periods
local ANSWER_TTL_MS = 600000

local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local args, at, next_key
local records, states, dirty = {}, {}, {}
local results, size = { now }, 1

local function text(number)
  return string.format('%.0f', number)
end

-- `used` units in the period called `name`, of which this call has added `added`.
local function open_record(key)
  local record = records[key]
  if not record then
    record = { key = key, version = tonumber(call('HGET', key, 'version') or nil), name = false, used = false, added = 0 }
    records[key] = record
  end
  return record
end

local function flush_record(record)
  if record.added == 0 then return end
  call('HINCRBY', record.key, 'used:' .. record.name, record.added)
  -- Once a period: a record in use must not end with counters that PostgreSQL does not have yet.
  if record.used == record.added then call('PEXPIRE', record.key, RECORD_TTL_MS) end
  record.added = 0
end

-- False, or the status that sends the caller back: the record is missing, or newer than the policy.
local function record_problem(record, version, seed)
  if seed and (not record.version or record.version < seed[1]) then
    call('HSET', record.key, 'version', text(seed[1]))
    call('HSETNX', record.key, 'since', text(now))
    call('PEXPIRE', record.key, RECORD_TTL_MS)
    record.version = seed[1]
  end
  if not record.version then return UNSEEDED end
  return version < record.version and STALE
end

-- Units used in the period that began at `start`, or nil: nobody knows.
local function used_in(record, name, start, seed)
  if record.name == name and record.used then return record.used end
  -- Policies from before and after a change of the account's time zone may name the same instant's month differently.
  flush_record(record)
  local used = tonumber(call('HGET', record.key, 'used:' .. name) or nil)
  if not used and seed and seed[2][name] then
    used = seed[2][name]
    call('HSET', record.key, 'used:' .. name, text(used))
  elseif not used then
    local since = tonumber(call('HGET', record.key, 'since') or nil)
    used = since and since <= start and 0 or nil
  end
  record.name, record.used = name, used or false
  return used
end

-- The index of the period that holds now, its name, the units used in it; or nil and the status that sends the caller back.
local function find_period(record, periods, known, seed)
  for index = 0, known - 1 do
    local name, start = args[periods + index * 3], args[periods + index * 3 + 1]
    if start <= now and now < args[periods + index * 3 + 2] then
      local used = used_in(record, name, start, seed)
      if used then return index, name, used end
      return nil, UNSEEDED
    end
  end
  return nil, STALE
end

local function open_state(key, is_log, amount)
  local state = states[key]
  if not state then
    state = is_log and read_log(key, now) or read_bucket(key, amount, now)
    states[key] = state
  end
  return state
end

local function put(a, b, c)
  results[size + 1], results[size + 2], results[size + 3] = a, b, c
  size = size + 3
end

-- Each subject's state into the results as it is; whether all of them admit their cost. Subjects begin at args[at].
local function look(count, first_key)
  local is_admitted, used, reset, wait = true, nil, nil, nil
  for index = 0, count - 1 do
    local cost, windows = args[at], args[at + 1]
    if windows == 0 then
      local capacity, amount, window = args[at + 2], args[at + 3], args[at + 4]
      used, reset, wait = bucket_state(open_state(KEYS[first_key + index], false, amount), capacity, amount, window, cost)
      put(used, reset, wait)
      is_admitted = is_admitted and wait == -1
      at = at + 5
    else
      local log = open_state(KEYS[first_key + index], true)
      for window = at + 2, at + windows * 2, 2 do
        used, reset, wait = window_state(log, args[window], args[window + 1], cost)
        put(used, reset, wait)
        is_admitted = is_admitted and wait == -1
      end
      at = at + 2 + windows * 2
    end
  end
  return is_admitted
end

local function touch(key)
  local state = states[key]
  if not state.is_dirty then
    state.is_dirty = true
    dirty[#dirty + 1] = state
  end
  return state
end

local function consume(subjects, count, first_key)
  for index = 0, count - 1 do
    local cost, windows, key = args[subjects], args[subjects + 1], KEYS[first_key + index]
    if windows == 0 then
      if cost > 0 then fill(touch(key), args[subjects + 3], args[subjects + 4], cost) end
      subjects = subjects + 5
    else
      local longest = 0
      for window = 1, windows do longest = math.max(longest, args[subjects + 1 + window * 2]) end
      if cost > 0 then append(touch(key), longest, cost) end
      subjects = subjects + 2 + windows * 2
    end
  end
end

-- The answer under these keys, and whether one of them answers another question. Only what was admitted is an answer:
-- versions before this one stored denials too, and no digest.
local function find_answer(from, to, digest)
  local answer = nil
  for index = from, to do
    local stored = call('GET', KEYS[index])
    local found = stored and cmsgpack.unpack(stored)
    if found and found[6] == ADMITTED then
      if found[7] and found[7] ~= digest then return nil, true end
      answer = found
    end
  end
  return answer, false
end

-- Per check in the results: status, units used, period, number of states, three numbers each. A repeated one adds when
-- it was decided first and its blob.
local function repeat_answer(first)
  put(REPEATED, first[3], first[4])
  size = size + 1
  results[size] = #first[5] / 3
  for _, number in ipairs(first[5]) do
    size = size + 1
    results[size] = number
  end
  results[size + 1], results[size + 2] = first[2], first[1]
  size = size + 2
end

-- Fields are added at the end only: during an upgrade the script of another version reads them.
local function store_answer(from, to, retry, used, period, first)
  local numbers = {}
  for index = first, size do numbers[#numbers + 1] = results[index] end
  local answer = cmsgpack.pack({ retry[1], now, used, period, numbers, ADMITTED, retry[2] })
  for index = from, to do call('SET', KEYS[index], answer, 'PX', ANSWER_TTL_MS) end
end

local function end_without_states(status)
  put(status, -1, -1)
  size = size + 1
  results[size] = 0
end

-- args[at]: version, mode, cost, seed, retry (blob and digest, or false), quota, and with a quota how many periods, and
-- those; then how many subjects, and those.
local function decide(first_key, last_key)
  local mode, cost, seed, retry, quota = args[at + 1], args[at + 2], args[at + 3], args[at + 4], args[at + 5]
  local known = quota and args[at + 6]
  local subjects = known and at + 8 + known * 3 or at + 7
  local periods, count, record = at + 7, args[subjects - 1], nil
  if args[at] > 0 then
    record = open_record(KEYS[first_key])
    local problem = record_problem(record, args[at], seed)
    if problem then return end_without_states(problem) end
  end
  local first_answer = first_key + 1 + count
  if retry then
    local answer, is_reused = find_answer(first_answer, last_key, retry[2])
    if is_reused then return end_without_states(REUSED) end
    if answer and mode == CONSUME then return repeat_answer(answer) end
  end
  local period, name, used = -1, nil, -1
  if quota then
    period, name, used = find_period(record, periods, known, seed)
    if not period and mode ~= CONFIRM then return end_without_states(name) end -- `name` holds the status here
    -- To confirm a policy is not to count: a period that is not known stays -1.
    period, used = period or -1, used or -1
  end
  local head = size + 1
  put(0, used, period)
  size = size + 1
  local first_state = size + 1
  at = subjects
  local is_admitted = look(count, first_key + 1)
  local status = is_admitted and ADMITTED or RATE_LIMITED
  if is_admitted and quota and quota >= 0 and used + cost > quota then status = QUOTA_EXCEEDED end
  if mode == CONFIRM then status = CONFIRMED end
  results[head], results[head + 3] = status, (size - first_state + 1) / 3
  if mode ~= CONSUME then return end
  if status == ADMITTED then
    -- A denial or a look took nothing: asking again is safe, and the answer may be better.
    if retry and cost > 0 then store_answer(first_answer, last_key, retry, used, period, first_state) end
    consume(subjects, count, first_key + 1)
    if name and cost > 0 then
      record.used, record.added = used + cost, record.added + cost
    end
  end
end

local function flush()
  for _, state in ipairs(dirty) do
    if state.is_log then flush_log(state) else flush_bucket(state, now) end
  end
  for _, record in pairs(records) do flush_record(record) end
end

-- Whether the server itself takes no writes (no master, memory or disk full): that is nobody's state, and the caller must
-- hear of it. It has taken none of this call then.
local function is_refusal(problem)
  if type(problem) == 'table' then problem = problem.err end
  problem = tostring(problem)
  for _, sign in ipairs({ 'READONLY', 'NOREPLICAS', 'MISCONF', 'OOM' }) do
    if string.find(problem, sign, 1, true) then return true end
  end
  return false
end

local latest = tonumber(ARGV[2])
if latest > 0 and now > latest then return cmsgpack.pack({ now }) end

args, at, next_key = cmsgpack.unpack(ARGV[1]), 1, 1
while args[at] do
  local from, before = at, size
  local keys, length = args[from + 1], args[from]
  at = from + 2
  local is_decided, problem = pcall(decide, next_key, next_key + keys - 1)
  if not is_decided then
    if is_refusal(problem) then error(problem) end
    -- What one account left in its state must not keep the others of this call from their answers.
    size = before
    end_without_states(FAILED)
  end
  at, next_key = from + length, next_key + keys
end
flush()
for index = #results, size + 1, -1 do results[index] = nil end
return cmsgpack.pack(results)
