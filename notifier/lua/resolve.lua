-- The end of an `unknown`, from a look-up at the provider or a person's word; or another try of what failed.
-- ARGV: id, 'done' | 'failed' | 'again', now, who, why, from.
local id, word, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local got = redis.call('HMGET', action(id), 'state', 'lane', 'outcome')
if got[1] ~= 'unknown' then return 0 end
if word == 'again' then
  enter(id, got[2], 'unknown', 'pending', now)
  redis.call('HSET', action(id), 'amb', '')
else
  enter(id, got[2], 'unknown', word, 0)
  if word == 'failed' then release(id) end
  if word == 'done' then redis.call('HSET', action(id), 'sent', now) end
  settle(id, word == 'done', now)
end
audit({at = now, id = id, event = 'resolved', to = word, who = ARGV[4], why = ARGV[5], from = ARGV[6]})
return 1
