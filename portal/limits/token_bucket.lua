
-- Token bucket (as GCRA), exact and O(1). The level is kept in units times window, so that it is a whole number: it falls
-- by `amount` each µs, an admitted unit adds `window`, and it may not rise above capacity times window.

local function read_bucket(key, amount, now)
  local text = call('GET', key)
  if not text then return { key = key, level = 0, amount = amount, is_log = false, is_dirty = false } end
  local at, level = read('>dd', text)
  if now < at then
    -- The clock went back: go on leaking from here, as if no time had passed meanwhile.
    call('SET', key, write('>dd', now, level), 'KEEPTTL')
    at = now
  end
  level = math.max(0, level - (now - at) * amount)
  return { key = key, level = level, amount = amount, is_log = false, is_dirty = false }
end

local function bucket_state(state, capacity, amount, window, cost)
  local level = state.level
  local used = math.ceil(level / window)
  local reset = level == 0 and 0 or math.ceil(((level - 1) % window + 1) / amount)
  local above = level + cost * window - capacity * window
  if cost > capacity then return used, reset, -2 end
  return used, reset, above > 0 and math.ceil(above / amount) or -1
end

local function fill(state, amount, window, cost)
  state.level, state.amount = state.level + cost * window, amount
end

local function flush_bucket(state, now)
  local empty_ms = math.ceil(state.level / state.amount / 1000)
  call('SET', state.key, write('>dd', now, state.level), 'PX', empty_ms)
end

