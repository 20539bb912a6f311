-- A coupon that the shop has, though this ledger never asked for it: made by a past that a restore took away. It is given, so
-- it is done; whether its words were said nobody knows. ARGV: id, now, who, why, from. 1: done now; 0: nothing to do.
local id, now = ARGV[1], tonumber(ARGV[2])
local got = redis.call('HMGET', action(id), 'state', 'lane', 'n', 'deps')
-- After an attempt of our own the code may be that one's, and the words are then surely unsaid: delivery finds out.
if (got[1] ~= 'held' and got[1] ~= 'pending') or tonumber(got[3] or '0') > 0 then return 0 end

local function decided(which, lane, from, to, due)
  enter(which, lane, from, to, due)
  redis.call('HSET', action(which), 'outcome', 'send', 'reason', 'ok')
  audit({at = now, id = which, event = 'found', outcome = 'send', reason = 'ok', to = to, who = ARGV[3], why = ARGV[4], from = ARGV[5]})
end

decided(id, got[2], got[1], 'done', 0)
redis.call('HSET', action(id), 'recovered', '1', 'sent', now)
for dep in string.gmatch(got[4] or '', '%S+') do
  local words = redis.call('HMGET', action(dep), 'state', 'lane')
  if words[1] == 'held' or words[1] == 'waiting' then decided(dep, words[2], words[1], 'unknown', now) end
end
return 1
