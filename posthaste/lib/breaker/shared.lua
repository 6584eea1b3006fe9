-- Put before each script of this folder. It reads and writes the state of the breaker ARGV[1].
-- KEYS[1] the states (hash: name → JSON), KEYS[2] events of all breakers (list), KEYS[3] events of this one (list),
-- KEYS[4] the names with the time they were last heard of (sorted set)
-- A state: state (closed, open, half_open), since, retry_at, closed_at (ms), epoch (round of trial calls), trials (granted in it),
-- passed (of those), asked (ms, the last one), why, number, of, code, release; forced (open, closed), forced_by, forced_until (0: until released).
local name = ARGV[1]
local release = tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local DAY = 86400000

local stored = redis.call('HGET', KEYS[1], name)
local breaker = stored and cjson.decode(stored)
  or {state = 'closed', since = 0, retry_at = 0, closed_at = 0, epoch = 0, trials = 0, passed = 0, asked = 0}

local function forced()
  if breaker.forced and (breaker.forced_until == 0 or now < breaker.forced_until) then
    return breaker.forced
  end
  return nil
end

local function save()
  redis.call('HSET', KEYS[1], name, cjson.encode(breaker))
end

-- Writes down what happened and gives it as JSON; meanwhile forgets closed breakers that nobody has used for a day.
local function tell(event, by)
  local told = cjson.encode({
    at = now, name = name, event = event, by = by or '', release = release, retry_at = breaker.retry_at,
    why = breaker.why or '', number = breaker.number or 0, of = breaker.of or 0, code = breaker.code or '',
  })
  redis.call('LPUSH', KEYS[2], told)
  redis.call('LTRIM', KEYS[2], 0, 999)
  redis.call('LPUSH', KEYS[3], told)
  redis.call('LTRIM', KEYS[3], 0, 99)
  redis.call('PEXPIRE', KEYS[3], 30 * DAY)
  redis.call('ZADD', KEYS[4], now, name)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now - DAY, 'LIMIT', 0, 20)) do
    local kept = redis.call('HGET', KEYS[1], old)
    if kept and cjson.decode(kept).forced then
      redis.call('ZADD', KEYS[4], now, old)
    else
      redis.call('HDEL', KEYS[1], old)
      redis.call('ZREM', KEYS[4], old)
    end
  end
  return told
end
