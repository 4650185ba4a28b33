-- Token bucket (as GCRA), exact and O(1). The level is kept in units times window, so that it is a whole number: it falls
-- by `amount` each µs, an admitted unit adds `window`, and it may not rise above capacity times window.

local function read_bucket(key, bucket, now)
  local text = redis.call('GET', key)
  if not text then return { key = key, level = 0, now = now } end
  local at, level = struct.unpack('>dd', text)
  if now < at then
    -- The clock went back: go on leaking from here, as if no time had passed meanwhile.
    redis.call('SET', key, struct.pack('>dd', now, level), 'KEEPTTL')
    at = now
  end
  return { key = key, level = math.max(0, level - (now - at) * bucket[2]), now = now }
end

local function bucket_state(state, bucket, cost)
  local capacity, amount, window = bucket[1], bucket[2], bucket[3]
  local used = math.ceil(state.level / window)
  local reset = state.level == 0 and 0 or math.ceil(((state.level - 1) % window + 1) / amount)
  local above = state.level + cost * window - capacity * window
  local wait = -1
  if cost > capacity then wait = -2 elseif above > 0 then wait = math.ceil(above / amount) end
  return { used, reset, wait }
end

local function fill(state, bucket, cost)
  local level = state.level + cost * bucket[3]
  local empty_ms = math.ceil(level / bucket[2] / 1000)
  redis.call('SET', state.key, struct.pack('>dd', state.now, level), 'PX', string.format('%.0f', empty_ms))
end

