-- Holds a breaker open or closed by hand, or lets it go again.
-- KEYS as in shared.lua
-- ARGV[1] name, [2] release of the configuration, [3] open, closed or automatic, [4] ms it is held (0: until released), [5] by whom
-- returns the event (JSON); nothing if it was to be let go and nobody held it
local wanted, span, by = ARGV[3], tonumber(ARGV[4]), ARGV[5]
local held = forced()
if wanted == 'automatic' and not held then
  return false
end
empty()
breaker.release, breaker.trials, breaker.passed = release, 0, 0
breaker.why, breaker.number, breaker.of, breaker.code = 'forced', 0, 0, ''
breaker.epoch = breaker.epoch + 1 -- trial calls under way count no more
breaker.cause, breaker.times, breaker.judged_at = nil, nil, 0 -- who holds it by hand knows what receipts said
if wanted == 'automatic' then
  -- What was held open is tried before it is trusted.
  breaker.forced, breaker.forced_by, breaker.forced_until = nil, nil, nil
  breaker.retry_at = now
  save()
  return tell('released', by)
end
breaker.since, breaker.forced, breaker.forced_by = now, wanted, by
breaker.forced_until = span > 0 and now + span or 0
breaker.state = wanted
if wanted == 'open' then
  breaker.retry_at = breaker.forced_until
else
  breaker.closed_at = 0
end
save()
return tell('forced_' .. wanted, by)
