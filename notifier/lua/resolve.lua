-- The end of an `unknown`, from a look-up at the provider or a person's word; or another try of what failed.
-- ARGV: id, 'done' | 'failed' | 'retry', now, who, why, from.
local id, word, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local got = redis.call('HMGET', action(id), 'state', 'lane', 'amount', 'exp')
local words_again = got[1] == 'failed' and word == 'retry' and tonumber(got[3] or '0') == 0
if got[1] ~= 'unknown' and not words_again then return 0 end
if word == 'retry' then
  if words_again then take_caps(id, now) end
  enter(id, got[2], got[1], 'pending', now)
  -- A person who says so now means now: the entry gets a new day. A look-up is no person.
  if ARGV[6] ~= 'reconcile' and tonumber(got[4] or '0') > 0 then redis.call('HSET', action(id), 'exp', math.max(tonumber(got[4]), now + 86400000)) end
  redis.call('HSET', action(id), 'amb', '')
else
  enter(id, got[2], 'unknown', word, 0)
  if word == 'failed' then release(id) end
  if word == 'done' then redis.call('HSET', action(id), 'sent', now) end
  settle(id, word == 'done', now)
end
audit({at = now, id = id, event = 'resolved', to = word, who = ARGV[4], why = ARGV[5], from = ARGV[6]})
return 1
