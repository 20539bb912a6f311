-- Two people for one switch: the first is noted, the second, who must be another, may. ARGV: what, identity, now, how long
-- the first one's word holds, who, why, from.
local what, identity, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local first = redis.call('HMGET', key('agreed'), what, what .. ':at')
if not first[1] or now - tonumber(first[2]) > tonumber(ARGV[4]) then
  redis.call('HSET', key('agreed'), what, identity, what .. ':at', now)
  audit({at = now, event = what .. '_first', who = ARGV[5], why = ARGV[6], from = ARGV[7]})
  return 'second_needed'
end
if first[1] == identity then return 'same_person' end
redis.call('HDEL', key('agreed'), what, what .. ':at')
return 'agreed'
