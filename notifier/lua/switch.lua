-- kill, hold, breaker. ARGV: name, 'on' | 'off', now, who, why, from.
if ARGV[2] == 'on' then
  if redis.call('HSETNX', key('switch'), ARGV[1], ARGV[3]) == 0 then return 0 end
else
  if redis.call('HDEL', key('switch'), ARGV[1]) == 0 then return 0 end
  if ARGV[1] == 'breaker' then redis.call('HSET', key('rate'), 'n', 0) end
end
audit({at = tonumber(ARGV[3]), event = ARGV[1] .. '_' .. ARGV[2], who = ARGV[4], why = ARGV[5], from = ARGV[6]})
return 1
