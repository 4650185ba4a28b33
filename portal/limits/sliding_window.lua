-- Sliding windows, exact. One log serves all windows of a subject: what was admitted, packed into a string.
-- Head: the instant from which entries count their time (double, µs), the units before the first entry (6 bytes), and
-- until when the log is kept, in the entries' time (6 bytes).
-- Entry: µs since that instant (6 bytes), running total of units up to and with it (6 bytes). Entries stand in the order
-- of time, so a window's sum is one binary search and one subtraction.
-- An admission appends one entry for all checks of its call. A log is kept for twice its longest window; once that no
-- longer covers a new entry it is written anew without what has left, so it holds two windows at most. Of a long log only
-- the ends are read, and those between one by one as the search comes to them: no check copies more than some kilobytes.

local HEAD, ENTRY = 20, 12
local BEFORE_FIRST = HEAD - ENTRY + 1
local REBASE_AT = 2 ^ 46
local SHORT_MOST = HEAD + ENTRY * 500
local TAIL = ENTRY * 64
local call, floor, read, write = redis.call, math.floor, struct.unpack, struct.pack

-- Its instant and its running total.
local function log_entry(log, index)
  if index > log.stored then return log.now, log.total end
  local start = HEAD + ENTRY * (index - 1)
  if start + ENTRY <= #log.text then return read('>I6I6', log.text, start + 1) end
  if start >= log.tail_at then return read('>I6I6', log.tail, start - log.tail_at + 1) end
  return read('>I6I6', call('GETRANGE', log.key, start, start + ENTRY - 1))
end

local function total_before(log, index)
  if index == 1 then return log.before end
  local _, total = log_entry(log, index - 1)
  return total
end

-- The first entry later than `since`; count + 1 if there is none. The last two answers are remembered.
local function first_after(log, since)
  if since == log.since then return log.first end
  if since == log.other_since then return log.other_first end
  local low, high, text = 1, log.count + 1, log.text
  if log.is_long then
    while low < high do
      local middle = floor((low + high) / 2)
      if (log_entry(log, middle)) > since then high = middle else low = middle + 1 end
    end
  else
    -- The same without a call a step: nearly every log is short.
    if since < log.now then high = log.stored + 1 end
    while low < high do
      local middle = floor((low + high) / 2)
      if read('>I6', text, BEFORE_FIRST + ENTRY * middle) > since then high = middle else low = middle + 1 end
    end
  end
  log.other_since, log.other_first, log.since, log.first = log.since, log.first, since, low
  return low
end

-- The first entry from `low` on whose running total is at least `units`; there is one.
local function first_reaching(log, units, low)
  local high = log.count
  while low < high do
    local middle = floor((low + high) / 2)
    local _, total = log_entry(log, middle)
    if total >= units then high = middle else low = middle + 1 end
  end
  return low
end

-- A clock that went back behind the newest entry moves the whole log back with it: the distances between entries stay,
-- so nothing is forgotten early, and windows go on sliding.
local function read_log(key, now)
  local text = call('GETRANGE', key, 0, SHORT_MOST)
  -- All fields at once: a table that grows is built anew several times.
  local log = {
    key = key, text = text, is_log = true, is_dirty = false, stored = 0, count = 0, base = now, before = 0, keeps = 0,
    now = 0, total = 0, longest = 0, since = false, first = 0, other_since = false, other_first = 0,
  }
  if text == '' then return log end
  log.base, log.before, log.keeps = read('>dI6I6', text)
  local size = #text
  if size > SHORT_MOST then
    size = call('STRLEN', key)
    log.is_long, log.tail_at = true, math.max(HEAD, size - TAIL)
    log.tail = call('GETRANGE', key, log.tail_at, size)
  end
  log.stored = (size - HEAD) / ENTRY
  log.count = log.stored
  local newest
  newest, log.total = log_entry(log, log.count)
  log.now = now - log.base
  if log.now < newest then
    log.base, log.now = now - newest, newest
    local head = write('>dI6I6', log.base, log.before, log.keeps)
    log.text = head .. string.sub(text, HEAD + 1)
    call('SETRANGE', key, 0, head)
  end
  return log
end

-- Units in the window, µs until its oldest leaves, what to wait: see LimitState in requests.py.
local function window_state(log, amount, length, cost)
  local first = first_after(log, log.now - length)
  if first > log.count then return 0, 0, cost > amount and -2 or -1 end
  local before = total_before(log, first)
  local used = log.total - before
  local reset = log_entry(log, first) + length - log.now
  if cost > amount then return used, reset, -2 end
  if used + cost <= amount then return used, reset, -1 end
  local leaving = first_reaching(log, before + used + cost - amount, first)
  return used, reset, log_entry(log, leaving) + length - log.now
end

-- What is admitted at one instant is one entry, written once all checks of the call are decided.
local function append(log, longest, cost)
  if log.count == log.stored then log.count = log.count + 1 end
  log.total = log.total + cost
  if longest > log.longest then log.longest = longest end
end

-- Totals and times that grew too large for their bytes begin anew.
local function rebased(log, first)
  local base = log.base + (log_entry(log, first))
  local before, parts = total_before(log, first), {}
  for index = first, log.stored do
    local at, total = log_entry(log, index)
    parts[#parts + 1] = write('>I6I6', at + log.base - base, total - before)
  end
  log.now, log.total, log.base, log.before = log.now + log.base - base, log.total - before, base, 0
  return table.concat(parts)
end

local function flush_log(log)
  local is_large = log.total > REBASE_AT or log.now > REBASE_AT
  if log.now + log.longest <= log.keeps and not is_large then
    call('APPEND', log.key, write('>I6I6', log.now, log.total))
    return
  end
  if log.is_long then log.text = call('GET', log.key) end
  local first, kept = first_after(log, log.now - log.longest), nil
  if is_large then
    kept = rebased(log, first)
  else
    log.before = total_before(log, first)
    kept = string.sub(log.text, HEAD + ENTRY * (first - 1) + 1)
  end
  local head = write('>dI6I6', log.base, log.before, log.now + 2 * log.longest)
  local life_ms = math.ceil(log.longest / 500)
  call('SET', log.key, head .. kept .. write('>I6I6', log.now, log.total), 'PX', life_ms)
end
