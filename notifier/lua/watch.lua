-- Whether a delivery is still the newest. ARGV: token, now, who, why, from. 'taken': another came later. 'kept'. 'forgot': the
-- store knows none or an older one, so it was emptied or put back; then it is on hold, and ours is written down again.
local known, token = tonumber(redis.call('GET', key('fence')) or '0'), tonumber(ARGV[1])
if known > token then return 'taken' end
if known == token then return 'kept' end
if redis.call('HSETNX', key('switch'), 'hold', ARGV[2]) == 1 then
  audit({at = tonumber(ARGV[2]), event = 'hold_on', who = ARGV[3], why = ARGV[4], from = ARGV[5]})
end
redis.call('SET', key('fence'), ARGV[1])
return 'forgot'
