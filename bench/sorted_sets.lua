-- The seed decision for sliding windows, kept to be measured: a sorted set in the place of sliding_window.lua's packed
-- string, with the same semantics and the same functions for decide.lua.
-- Score: the instant. Member: the running total of units (16 digits, so that equal instants keep their order) and the
-- entry's own units. The running total makes a window's sum one subtraction.

local call, read, write = redis.call, struct.unpack, struct.pack

local function entry(pair)
  if not pair[1] then return nil end
  local total, units = string.match(pair[1], '^(%d+):(%d+)$')
  return { total = tonumber(total), units = tonumber(units), at = tonumber(pair[2]) }
end

local function entry_at(key, rank)
  return entry(call('ZRANGE', key, rank, rank, 'WITHSCORES'))
end

local function read_log(key, now)
  local last = entry_at(key, -1)
  return { key = key, last = last, now = math.max(now, last and last.at or 0), units = 0, longest = 0, is_log = true }
end

-- When enough of the oldest units have left: the entry with which at least `need` units are gone.
local function leaving(key, first, need)
  if first.units >= need then return first end
  local base = first.total - first.units
  local low = call('ZRANK', key, string.format('%016.0f:%.0f', first.total, first.units)) + 1
  local high = call('ZCARD', key) - 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if entry_at(key, middle).total - base >= need then high = middle else low = middle + 1 end
  end
  return entry_at(key, low)
end

local function window_state(log, amount, length, cost)
  local last = log.last
  local since = string.format('(%.0f', log.now - length)
  local first = last and entry(call('ZRANGEBYSCORE', log.key, since, '+inf', 'WITHSCORES', 'LIMIT', 0, 1))
  local used = (first and last.total - first.total + first.units or 0) + log.units
  local reset = first and first.at + length - log.now or log.units > 0 and length or 0
  if cost > amount then return used, reset, -2 end
  if used + cost <= amount then return used, reset, -1 end
  return used, reset, first and leaving(log.key, first, used + cost - amount).at + length - log.now or length
end

local function append(log, longest, cost)
  log.units, log.longest = log.units + cost, math.max(log.longest, longest)
end

local function flush_log(log)
  call('ZREMRANGEBYSCORE', log.key, '-inf', string.format('%.0f', log.now - log.longest))
  local total = (log.last and log.last.total or 0) + log.units
  call('ZADD', log.key, string.format('%.0f', log.now), string.format('%016.0f:%.0f', total, log.units))
  call('PEXPIRE', log.key, string.format('%.0f', math.ceil(log.longest / 1000)))
end
