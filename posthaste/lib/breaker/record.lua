-- Counts what calls gave, and moves the breaker.
-- KEYS[1..4] as in shared.lua, KEYS[5] the window that is counted in (hash: w = ms of a tenth, "<tenth>:n|s|e"),
-- KEYS[6…] other windows of this breaker, emptied with it
-- ARGV[1] name, [2] release of the configuration, [3] calls, [4] of those slow, [5] of those failed, [6] code of a failure,
-- [7] epoch (0: ordinary calls; else trial calls of that round), [8] trial calls that were granted and not made,
-- [9] ms of a tenth of the window, [10] fewest calls, [11] slow %, [12] error %, [13] number of errors, [14] ms it stays open,
-- [15] trial calls that must succeed, [16] what failures are called
-- returns the event (JSON) if it moved, else nothing
local calls, slow, errors, code = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local epoch, unused = tonumber(ARGV[7]), tonumber(ARGV[8])

local function empty()
  for i = 5, #KEYS do
    redis.call('DEL', KEYS[i])
  end
end

local function open(why, number, of)
  breaker.state, breaker.since, breaker.retry_at = 'open', now, now + tonumber(ARGV[14])
  breaker.trials, breaker.passed = 0, 0
  breaker.forced, breaker.forced_by, breaker.forced_until = nil, nil, nil -- run out
  breaker.why, breaker.number, breaker.of, breaker.code, breaker.release = why, number, of, code, release
  empty()
  save()
  return tell('opened')
end

local held = forced()
if epoch > 0 then
  if held or breaker.state ~= 'half_open' or breaker.epoch ~= epoch then
    return false -- the round is over
  end
  if slow + errors > 0 then
    return open('trial', slow + errors, calls)
  end
  breaker.trials = breaker.trials - unused
  breaker.passed = breaker.passed + calls
  if breaker.passed < tonumber(ARGV[15]) then
    save()
    return false
  end
  breaker.state, breaker.since, breaker.closed_at = 'closed', now, now
  breaker.why, breaker.number, breaker.of, breaker.code, breaker.release = 'trial', breaker.passed, breaker.passed, '', release
  empty()
  save()
  return tell('closed')
end

redis.call('ZADD', KEYS[4], now, name)
if breaker.state ~= 'closed' then
  return false -- calls that had begun before it opened
end
local width = tonumber(ARGV[9])
local tenth = math.floor(now / width)
if redis.call('HGET', KEYS[5], 'w') ~= ARGV[9] then -- another length was configured: tenths of another length say nothing
  redis.call('DEL', KEYS[5])
  redis.call('HSET', KEYS[5], 'w', ARGV[9])
end
redis.call('HINCRBY', KEYS[5], tenth .. ':n', calls)
if slow > 0 then redis.call('HINCRBY', KEYS[5], tenth .. ':s', slow) end
if errors > 0 then redis.call('HINCRBY', KEYS[5], tenth .. ':e', errors) end
redis.call('PEXPIRE', KEYS[5], width * 20)
if held then
  return false
end
local sum = {n = 0, s = 0, e = 0}
local fields = redis.call('HGETALL', KEYS[5])
for i = 1, #fields, 2 do
  local at, kind = string.match(fields[i], '^(%d+):(%l)$')
  if at then
    if tonumber(at) <= tenth - 10 then
      redis.call('HDEL', KEYS[5], fields[i])
    else
      sum[kind] = sum[kind] + tonumber(fields[i + 1])
    end
  end
end
local slow_percent, error_percent, error_count = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
if sum.n >= tonumber(ARGV[10]) then
  if (error_percent > 0 and sum.e * 100 >= error_percent * sum.n) or (error_count > 0 and sum.e >= error_count) then
    return open(ARGV[16], sum.e, sum.n)
  end
  if slow_percent > 0 and sum.s * 100 >= slow_percent * sum.n then
    code = ''
    return open('slow', sum.s, sum.n)
  end
end
return false
