-- Grants trial calls of a half-open breaker: all processes together make only so many.
-- KEYS as in shared.lua
-- ARGV[1] name, [2] release of the configuration, [3] calls wanted, [4] trial calls of a round, [5] ms after which a call that was
-- granted and never heard of again (its process died) is given up, [6] % of bad receipts, [7] ms it stays open, [8] the longest
-- returns {calls granted (-1: it is closed, as many as you like), epoch of the round, event (JSON) or ''}
local held = forced()
if held then
  return {held == 'closed' and -1 or 0, 0, ''}
end
if breaker.state == 'closed' then
  return {-1, 0, ''}
end
if breaker.state == 'open' and now < breaker.retry_at then
  return {0, 0, ''}
end
local event = ''
local limit = tonumber(ARGV[4])
local is_new = breaker.state == 'open'
if not is_new and (breaker.judged_at or 0) > 0 then -- its trial calls were taken: their receipts tell
  if now < breaker.judged_at then
    return {0, breaker.epoch, ''}
  end
  event = judge(limit, tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), breaker.code)
  return {breaker.state == 'closed' and -1 or 0, 0, event}
end
if is_new or (breaker.trials >= limit and now - breaker.asked > tonumber(ARGV[5])) then
  breaker.epoch, breaker.trials, breaker.passed = breaker.epoch + 1, 0, 0
end
local granted = math.max(0, math.min(tonumber(ARGV[3]), limit - breaker.trials))
if granted > 0 then
  breaker.trials, breaker.asked = breaker.trials + granted, now
  if is_new then
    breaker.state = 'half_open'
    event = tell('half_open')
  end
  breaker.forced, breaker.forced_by, breaker.forced_until = nil, nil, nil -- run out
  save()
end
return {granted, breaker.epoch, event}
