-- Put before each script of this folder. It reads and writes the state of the breaker ARGV[1].
-- KEYS[1] the states (hash: name → JSON), KEYS[2] events of all breakers (list), KEYS[3] events of this one (list),
-- KEYS[4] the names with the time they were last heard of (sorted set), KEYS[5…] its windows, emptied whenever it moves
-- A state: state (closed, open, half_open), since (ms: when it opened or closed; its trials leave it), retry_at, closed_at (ms), epoch (round of trial calls), trials (granted in it),
-- passed (of those), asked (ms, the last one), why, number, of, code, release; forced (open, closed), forced_by, forced_until (0: until released).
-- Of one that receipts have opened also: cause ('receipts', until it closes), times (it did so in a row), fresh_from (ms: receipts of messages
-- taken before tell of the trouble that was), heard and bad (receipts of its trial messages), judged_at (ms: their trial calls have been
-- taken, and so long their receipts are waited for; 0: not yet).
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

local function empty()
  for i = 5, #KEYS do
    redis.call('DEL', KEYS[i])
  end
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

-- Opens it for `span` ms. One that receipts keep opening stays open twice as long each time, up to `longest` ms: every time it closes
-- meanwhile costs messages that are taken and never arrive. The row ends when it has stayed closed for `longest`.
local function open(span, longest, why, number, of, code)
  if breaker.state ~= 'closed' then
    breaker.times = breaker.cause and (breaker.times or 1) + 1
  else
    local lately = breaker.closed_at > 0 and now - breaker.closed_at < longest
    breaker.cause = why == 'receipts' and why or nil
    breaker.times = breaker.cause and (lately and breaker.times or 0) + 1 or (lately and breaker.times or nil)
  end
  if breaker.cause then
    span = math.max(span, math.min(longest, span * 2 ^ math.min(breaker.times - 1, 20)))
    -- Half of it is left for clocks that differ: a message of a trial call is taken when all of it has passed.
    breaker.fresh_from = now + math.floor(span / 2)
  end
  if breaker.state == 'closed' then
    breaker.since = now
  end
  breaker.state, breaker.retry_at = 'open', now + span
  breaker.trials, breaker.passed, breaker.heard, breaker.bad, breaker.judged_at = 0, 0, 0, 0, 0
  breaker.forced, breaker.forced_by, breaker.forced_until = nil, nil, nil -- run out
  breaker.why, breaker.number, breaker.of, breaker.code, breaker.release = why, number, of, code, release
  empty()
  save()
  return tell('opened')
end

local function close(why, number, of)
  breaker.state, breaker.since, breaker.closed_at, breaker.judged_at, breaker.cause = 'closed', now, now, 0, nil
  breaker.why, breaker.number, breaker.of, breaker.code, breaker.release = why, number, of, '', release
  empty()
  save()
  return tell('closed')
end

-- What receipts say of the trial messages, as soon as `needed` have come or the time for them is up: `percent` of bad ones open it again.
-- Where none came it closes: nobody knows better, and a provider that stopped sending receipts would otherwise wait for ever.
local function judge(needed, percent, span, longest, code)
  local is_late = breaker.judged_at > 0 and now >= breaker.judged_at
  if breaker.heard < needed and not is_late then
    save()
    return false
  end
  if breaker.heard > 0 and breaker.bad * 100 >= percent * breaker.heard then
    return open(span, longest, 'receipts', breaker.bad, breaker.heard, code)
  end
  return close(breaker.heard > 0 and 'receipts' or 'silence', breaker.heard - breaker.bad, breaker.heard)
end
