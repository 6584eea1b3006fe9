-- Lets requests in or refuses them: all checks of a question must say yes, or nothing is taken from any of them.
--
-- KEYS    none: which keys are looked at follows from the questions (so this is for one server, not for a cluster)
-- ARGV[1] MessagePack: [questions, leaves, plans]
--           question = [cost, urgent (0|1), lease id, which of the plans (from 1)]
--           plan     = checks; many questions have the same
--           check    = [key, kind, limit, span (µs), reserve (% for what is urgent), counts (1: the cost, 0: one), rate, cold factor,
--                       warm-up (µs), owes (0|1)]
--             kind 'w' window: at most `limit` in any `span`; with a warm-up `limit` is reached slowly; `owes`: whoever is larger
--                      than the limit is let in when there is any room, and paid off at the rate
--             kind 'b' bucket: `limit` tokens, `rate` of them come back a second
--             kind 'q' queue: `rate` a second one after the other, none waits longer than `span`
--             kind 'l' leases: at most `limit` at once, each for at most `span`
--           leaves   = [key, lease id, key, lease id, …] of requests that are over
-- ARGV[2] the time in µs; 0: the clock of this server (anything else is for tests)
-- returns for each question [verdict, wait (µs), check, remaining, reset (µs)]
--           verdict 1: let in, after the wait; check: the one (from 1) with the least left, 0: none tells
--           verdict 0: refused; of all checks that refuse, the one with the longest wait: try again after it
--           verdict -1: refused by the check for good, the cost is above its limit
--           remaining of a refusal: what is left for a smaller cost
--
-- The same in Python: model.py. Whoever changes one changes both; tests/lib/flow compares them step by step.

local PARTS = 100
local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local args = cmsgpack.unpack(ARGV[1])
local now = tonumber(ARGV[2])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- what is forgotten by itself; times of a test pass at another pace
local function expire(key, micros)
  local ms = ceil(micros / 1000) + 1000
  if ARGV[2] ~= '0' then ms = 600000 end
  redis.call('PEXPIRE', key, ms)
end

-- one call for many values: as many as fit on Lua's stack with ease
local function in_parts(command, key, values)
  for first = 1, #values, 1000 do
    redis.call(command, key, unpack(values, first, min(first + 999, #values)))
  end
end

local states, order = {}, {}

local function keep(key, state)
  states[key] = state
  order[#order + 1] = key
  return state
end

-- tokens of a cold start: none above `warning` once it is warm (Guava's SmoothWarmingUp)
local function warmth(rate, cold, warm)
  local warning = rate * warm / 1000000 / (cold - 1)
  return warning, warning + 2 * rate * warm / 1000000 / (1 + cold)
end

local function warm_rate(stored, rate, cold, warm)
  local warning, most = warmth(rate, cold, warm)
  if stored <= warning then return rate end
  return 1 / ((stored - warning) * (cold - 1) / rate / (most - warning) + 1 / rate)
end

-- windows -------------------------------------------------------------------------------------------------------

local function bucket_of(state, index)
  local number = tonumber(redis.call('HGET', state.key, index) or 0)
  if index == state.current then number = number + state.added end
  return number
end

local function window(key, check)
  local state = states[key]
  if state then return state end
  local span, rate, cold, warm = check[4], check[7], check[8], check[9]
  local got = redis.call('HMGET', key, 't', 'o', 'n', 'd', 's', 'a')
  state = keep(key, {
    kind = 'w', key = key, span = span, width = floor(span / PARTS), total = tonumber(got[1] or 0), oldest = tonumber(got[2] or 0),
    newest = tonumber(got[3] or 0), owed = tonumber(got[4] or 0), stored = tonumber(got[5] or nil), at = tonumber(got[6] or 0), added = 0,
    lasts = 0,
  })
  state.current = floor(now / state.width)
  if state.total > 0 then
    local first = floor((now - span) / state.width)
    if state.newest < first then
      state.total, state.wipe, state.dirty = 0, true, true
    else
      while state.oldest < first do
        local number = redis.call('HGET', key, state.oldest)
        if number then
          state.total = state.total - tonumber(number)
          redis.call('HDEL', key, state.oldest)
        end
        state.oldest = state.oldest + 1
        state.dirty = true
      end
    end
  end
  if warm > 0 then
    local warning, most = warmth(rate, cold, warm)
    if not state.stored then
      state.stored = most
    elseif state.stored < warning or state.total < 0.9 * rate / cold then
      state.stored = min(most, state.stored + rate * max(0, now - state.at) / 1000000)
    end
    state.at, state.dirty, state.warm = now, true, true
    state.lasts = most / rate * 1000000
  end
  return state
end

-- how long until `need` of what is counted has left the window
local function until_free(state, need)
  local index = state.oldest
  while index < state.newest do
    need = need - bucket_of(state, index)
    if need <= 0 then break end
    index = index + 1
  end
  return max(1, (index + 1) * state.width + state.span - now)
end

local function ask_window(state, check, cost, limit)
  if check[9] > 0 then limit = min(limit, max(1, warm_rate(state.stored, check[7], check[8], check[9]))) end
  if now < state.owed then return 0, state.owed - now end
  if cost > limit then
    if check[10] == 0 and cost > check[3] then return -1, 0 end
    if check[10] == 1 and state.total + 1 <= limit then return 1, 0 end
    if state.total == 0 then return 0, 1000000 end
    return 0, until_free(state, max(1, state.total - floor(limit) + 1))
  end
  if state.total + cost <= limit then return 1, 0 end
  return 0, until_free(state, ceil(state.total + cost - limit))
end

local function take_window(state, check, cost, limit)
  if check[9] > 0 then
    limit = min(limit, max(1, warm_rate(state.stored, check[7], check[8], check[9])))
    state.stored = max(0, state.stored - cost)
  end
  if state.total == 0 or state.current < state.oldest then state.oldest = state.current end
  if state.total == 0 or state.current > state.newest then state.newest = state.current end
  state.total = state.total + cost
  state.added = state.added + cost
  if cost > limit then state.owed = now + ceil(cost * state.span / limit) end
  state.dirty = true
end

local function save_window(state)
  local key = state.key
  if state.wipe then redis.call('DEL', key) end
  redis.call('HSET', key, 't', state.total, 'o', state.oldest, 'n', state.newest)
  if state.added > 0 then redis.call('HINCRBY', key, state.current, state.added) end
  if state.owed > now then redis.call('HSET', key, 'd', state.owed) end
  if state.warm then redis.call('HSET', key, 's', state.stored, 'a', state.at) end
  expire(key, max(state.span + state.width, state.owed - now, state.lasts))
end

-- token buckets -------------------------------------------------------------------------------------------------

local function tokens(key, limit, rate)
  local state = states[key]
  if state then return state end
  local got = redis.call('HMGET', key, 'k', 'a')
  state = keep(key, { kind = 'b', key = key, tokens = limit, rate = rate, limit = limit })
  if got[1] then state.tokens = min(limit, tonumber(got[1]) + rate * max(0, now - tonumber(got[2])) / 1000000) end
  return state
end

local function ask_tokens(state, cost)
  local need = cost
  if cost > state.limit then need = min(1, state.limit) end
  if state.tokens >= need then return 1, 0 end
  return 0, max(1, ceil((need - state.tokens) * 1000000 / state.rate))
end

-- queues --------------------------------------------------------------------------------------------------------

local function queue(key, check, rate)
  local state = states[key]
  if state then return state end
  local got = redis.call('HMGET', key, 'l', 's')
  state = keep(key, { kind = 'q', key = key, free = tonumber(got[1] or 0), stored = tonumber(got[2] or nil), lasts = 0 })
  if check[9] > 0 then
    local warning, most = warmth(rate, check[8], check[9])
    if not state.stored then
      state.stored = most
    else
      state.stored = min(most, state.stored + max(0, now - state.free) * most / check[9])
    end
    state.lasts = check[9]
  end
  return state
end

local function take_queue(state, check, cost, rate)
  local wait = max(0, state.free - now)
  local present = rate
  if check[9] > 0 then
    present = warm_rate(state.stored, rate, check[8], check[9])
    state.stored = max(0, state.stored - cost)
  end
  state.free = max(state.free, now) + ceil(cost * 1000000 / present)
  state.dirty = true
  return wait
end

-- leases --------------------------------------------------------------------------------------------------------

local function leases(key)
  local state = states[key]
  if state then return state end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  return keep(key, { kind = 'l', key = key, count = redis.call('ZCARD', key), fresh = {} })
end

-- one question --------------------------------------------------------------------------------------------------

-- what is left for a smaller cost where a cost was refused
local function left_of(state, check, limit)
  if state.kind == 'b' then return max(0, floor(state.tokens)) end
  if state.kind == 'q' or now < state.owed then return 0 end
  if check[9] > 0 then limit = min(limit, max(1, warm_rate(state.stored, check[7], check[8], check[9]))) end
  return max(0, floor(limit - state.total))
end

-- asks one check and gives verdict, wait, what is left where it refuses, and what to do when all say yes
local function ask(check, cost, urgent, lease)
  local key, kind, limit, span, reserve, rate = check[1], check[2], check[3], check[4], check[5], check[7]
  if check[6] == 0 then cost = 1 end
  local verdict, wait, state
  if kind == 'l' then
    state = leases(key)
    local most = limit
    if urgent == 1 then most = limit + ceil(limit * reserve / 100) end
    if state.count + 1 > most then
      local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
      return 0, min(1000000, max(1, tonumber(first[2] or now + span) - now)), 0 -- none stands there yet: all came with this call
    end
    return 1, 0, 0, function()
      state.count = state.count + 1
      local fresh = state.fresh
      fresh[#fresh + 1] = string.format('%.0f', now + span)
      fresh[#fresh + 1] = lease
      state.dirty, state.span = true, span
      return max(0, limit - state.count), 0
    end
  end
  local left = 0
  for try = 1, 2 do
    if kind == 'w' then
      state = window(key, check)
      verdict, wait = ask_window(state, check, cost, limit)
    elseif kind == 'b' then
      state = tokens(key, limit, rate)
      verdict, wait = ask_tokens(state, cost)
    else
      state = queue(key, check, rate)
      verdict, wait = 1, max(0, state.free - now)
      if wait > span then verdict, wait = 0, wait - span end
    end
    if try == 1 and verdict ~= 1 then left = left_of(state, check, limit) end
    if verdict ~= 0 or try == 2 or urgent == 0 or reserve <= 0 then break end
    -- what is urgent has a small limit of its own behind the rule
    limit, rate = max(1, floor(limit * reserve / 100)), rate * reserve / 100
    if kind ~= 'q' and cost > limit then break end
    key, check = key .. ':u', { key, kind, limit, span, 0, check[6], rate, check[8], 0, check[10] }
  end
  if verdict ~= 1 then return verdict, wait, left end
  return 1, wait, 0, function()
    if kind == 'w' then
      take_window(state, check, cost, limit)
      return max(0, floor(limit - state.total)), max((state.oldest + 1) * state.width + state.span, state.owed) - now
    elseif kind == 'b' then
      state.tokens = state.tokens - cost
      state.dirty = true
      return max(0, floor(state.tokens)), ceil((state.limit - state.tokens) * 1000000 / rate)
    end
    take_queue(state, check, cost, rate)
    return -1, 0
  end
end

local function answer(question)
  local cost, urgent, lease, checks = question[1], question[2], question[3], args[3][question[4]]
  local takes, longest, refusal = {}, 0, nil
  for index, check in ipairs(checks) do
    local verdict, wait, left, take = ask(check, cost, urgent, lease)
    if verdict == 1 then
      takes[index] = take
      longest = max(longest, wait)
    elseif not refusal or verdict < refusal[1] or (verdict == refusal[1] and wait > refusal[2]) then
      refusal = { verdict, wait, index, left, wait }
    end
  end
  if refusal then return refusal end
  local least, which, left, back = 2, 0, 0, 0
  for index, take in ipairs(takes) do
    local remaining, reset = take()
    if remaining >= 0 and remaining / checks[index][3] < least then
      least, which, left, back = remaining / checks[index][3], index, remaining, reset
    end
  end
  return { 1, longest, which, left, back }
end

local gone = {}
for index = 1, #args[2], 2 do
  local leases_of = gone[args[2][index]]
  if not leases_of then
    leases_of = {}
    gone[args[2][index]] = leases_of
  end
  leases_of[#leases_of + 1] = args[2][index + 1]
end
for key, leases_of in pairs(gone) do
  in_parts('ZREM', key, leases_of)
end
local answers = {}
for index, question in ipairs(args[1]) do
  answers[index] = answer(question)
end
for _, key in ipairs(order) do
  local state = states[key]
  if state.dirty then
    if state.kind == 'w' then
      save_window(state)
    elseif state.kind == 'b' then
      redis.call('HSET', key, 'k', state.tokens, 'a', now)
      expire(key, (state.limit - state.tokens) / state.rate * 1000000)
    elseif state.kind == 'q' then
      redis.call('HSET', key, 'l', state.free)
      if state.stored then redis.call('HSET', key, 's', state.stored) end
      expire(key, max(0, state.free - now) + state.lasts)
    else
      in_parts('ZADD', key, state.fresh)
      expire(key, state.span)
    end
  end
end
return answers
