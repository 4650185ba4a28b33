-- Sliding windows, exact. One log serves all windows of a subject: what was admitted, packed into a string.
-- Head: the instant from which entries count their time (double, µs) and the units before the first entry (6 bytes).
-- Entry: µs since that instant (6 bytes), running total of units up to and with it (6 bytes). Entries stand in the order
-- of time, so a window's sum is one binary search and one subtraction.
-- A short log is read and written whole. A long one stays where it is: its oldest and newest entries are read at once,
-- those between one by one as the search comes to them; an admission appends one, and what has left the longest window
-- is cut off once it is half of the log. So no check copies more than a few kilobytes, whatever the limit.

local HEAD, ENTRY = 14, 12
local REBASE_AT = 2 ^ 46
local SHORT_MOST = HEAD + ENTRY * 500
local TAIL = ENTRY * 64

local function log_entry(log, index)
  local start = HEAD + ENTRY * (index - 1)
  if start + ENTRY <= #log.text then return struct.unpack('>I6I6', log.text, start + 1) end
  if start >= log.tail_at then return struct.unpack('>I6I6', log.tail, start - log.tail_at + 1) end
  return struct.unpack('>I6I6', redis.call('GETRANGE', log.key, start, start + ENTRY - 1))
end

local function total_before(log, index)
  if index == 1 then return log.before end
  local _, total = log_entry(log, index - 1)
  return total
end

-- The first entry later than `since`; count + 1 if there is none. Each admission cuts the log to its longest window, so
-- that window's first is among the oldest, which are looked at before the rest is halved; `append` asks for it again.
local function first_after(log, since)
  local known = log.found[since]
  if known then return known end
  local low, high, middle = 1, log.count + 1, 1
  while low < high do
    if (log_entry(log, middle)) > since then high = middle else low = middle + 1 end
    middle = low == 2 and high > 4 and 4 or math.floor((low + high) / 2)
  end
  log.found[since] = low
  return low
end

-- The first entry from `low` on whose running total is at least `units`; there is one.
local function first_reaching(log, units, low)
  local high = log.count
  while low < high do
    local middle = math.floor((low + high) / 2)
    local _, total = log_entry(log, middle)
    if total >= units then high = middle else low = middle + 1 end
  end
  return low
end

-- A clock that went back behind the newest entry moves the whole log back with it: the distances between entries stay,
-- so nothing is forgotten early, and windows go on sliding.
local function read_log(key, now)
  local text = redis.call('GETRANGE', key, 0, SHORT_MOST)
  if text == '' then return { key = key, text = '', count = 0, base = now, before = 0, now = 0, total = 0, found = {} } end
  local base, before = struct.unpack('>dI6', text)
  local is_long = #text > SHORT_MOST
  local size = is_long and redis.call('STRLEN', key) or #text
  local log = { key = key, text = text, is_long = is_long, count = (size - HEAD) / ENTRY, base = base, before = before }
  log.found = {}
  if is_long then
    log.tail_at = math.max(HEAD, size - TAIL)
    log.tail = redis.call('GETRANGE', key, log.tail_at, size)
  end
  local newest
  newest, log.total = log_entry(log, log.count)
  log.now = now - base
  if log.now < newest then
    log.base, log.now = now - newest, newest
    local head = struct.pack('>dI6', log.base, before)
    log.text = head .. string.sub(text, HEAD + 1)
    redis.call('SETRANGE', key, 0, head)
  end
  return log
end

-- {units in the window, µs until its oldest leaves, what to wait}: see LimitState in requests.py.
local function window_state(log, window, cost)
  local amount, length = window[1], window[2]
  local first = first_after(log, log.now - length)
  if first > log.count then
    return { 0, 0, cost > amount and -2 or -1 }
  end
  local before = total_before(log, first)
  local used = log.total - before
  local reset = log_entry(log, first) + length - log.now
  if cost > amount then return { used, reset, -2 } end
  if used + cost <= amount then return { used, reset, -1 } end
  local leaving = first_reaching(log, before + used + cost - amount, first)
  return { used, reset, log_entry(log, leaving) + length - log.now }
end

-- Totals and times that grew too large for their bytes begin anew.
local function rebased(log, first)
  local base = log.base + (first <= log.count and (log_entry(log, first)) or log.now)
  local before, parts = total_before(log, first), {}
  for index = first, log.count do
    local at, total = log_entry(log, index)
    parts[#parts + 1] = struct.pack('>I6I6', at + log.base - base, total - before)
  end
  log.now, log.total, log.base, log.before = log.now + log.base - base, log.total - before, base, 0
  return table.concat(parts)
end

local function append(log, windows, cost)
  local longest = 0
  for _, window in ipairs(windows) do longest = math.max(longest, window[2]) end
  local first, life_ms = first_after(log, log.now - longest), string.format('%.0f', math.ceil(longest / 1000))
  if log.is_long then
    if first - 1 < log.count / 2 and log.total <= REBASE_AT and log.now <= REBASE_AT then
      redis.call('APPEND', log.key, struct.pack('>I6I6', log.now, log.total + cost))
      redis.call('PEXPIRE', log.key, life_ms)
      return
    end
    log.text, log.is_long = redis.call('GET', log.key), false
  end
  local kept
  if log.total > REBASE_AT or log.now > REBASE_AT then
    kept = rebased(log, first)
  else
    kept = string.sub(log.text, HEAD + ENTRY * (first - 1) + 1)
    log.before = total_before(log, first)
  end
  local head, entry = struct.pack('>dI6', log.base, log.before), struct.pack('>I6I6', log.now, log.total + cost)
  redis.call('SET', log.key, head .. kept .. entry, 'PX', life_ms)
end

