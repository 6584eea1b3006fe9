-- Counts what calls gave, or what receipts told, and moves the breaker.
-- KEYS[1…] as in shared.lua, KEYS[5] the window that is counted in (hash: w = ms of a tenth, "<tenth>:n|s|e")
-- ARGV[1] name, [2] release of the configuration, [3] calls, [4] of those slow, [5] of those failed, [6] code of a failure,
-- [7] epoch (0: ordinary calls; else trial calls of that round), [8] trial calls that were granted and not made,
-- [9] ms of a tenth of the window, [10] fewest calls, [11] slow %, [12] error %, [13] number of errors, [14] ms it stays open,
-- [15] trial calls that must succeed, [16] what failures are called (errors, receipts), [17] the longest ms it stays open,
-- [18] ms that receipts of trial messages are waited for (0: a trial call that was taken is enough), [19] % of bad ones that open it again,
-- [20] of receipts: when the latest messages were taken and whether they failed ("<ms>+ <ms>-"), empty where that is not known
-- returns the event (JSON) if it moved, else nothing
local calls, slow, errors, code = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local epoch, unused, needed = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[15])
local span, longest, percent = tonumber(ARGV[14]), tonumber(ARGV[17]), tonumber(ARGV[19])
local of_receipts, listed = ARGV[16] == 'receipts', ARGV[20]

local held = forced()
if epoch > 0 then
  if held or breaker.state ~= 'half_open' or breaker.epoch ~= epoch then
    return false -- the round is over
  end
  if slow + errors > 0 then
    return open(span, longest, 'trial', slow + errors, calls, code)
  end
  breaker.trials = breaker.trials - unused
  breaker.passed = breaker.passed + calls
  if breaker.passed < needed then
    save()
    return false
  end
  local patience = tonumber(ARGV[18])
  if breaker.cause ~= 'receipts' or patience == 0 then
    return close('trial', breaker.passed, breaker.passed)
  end
  breaker.judged_at = breaker.judged_at > 0 and breaker.judged_at or now + patience
  return judge(needed, percent, span, longest, code)
end

redis.call('ZADD', KEYS[4], now, name)

-- Receipts of messages that were taken before it was tried again tell of the trouble that was, however late they come.
local is_trial = breaker.state == 'half_open' and breaker.cause == 'receipts'
if of_receipts and breaker.fresh_from and listed ~= '' and (is_trial or now - breaker.fresh_from < DAY) then
  calls, errors = 0, 0
  for at, told in string.gmatch(listed, '(%d+)([+-])') do
    if tonumber(at) >= breaker.fresh_from then
      calls = calls + 1
      errors = errors + (told == '-' and 1 or 0)
    end
  end
  if calls == 0 then
    return false
  end
  if is_trial and not held then
    breaker.heard, breaker.bad = breaker.heard + calls, breaker.bad + errors
    return judge(needed, percent, span, longest, code)
  end
end

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
    return open(span, longest, ARGV[16], sum.e, sum.n, code)
  end
  if slow_percent > 0 and sum.s * 100 >= slow_percent * sum.n then
    return open(span, longest, 'slow', sum.s, sum.n, '')
  end
end
return false
