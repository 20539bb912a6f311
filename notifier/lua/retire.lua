-- Takes old claims out, with their money out of the counters. What is still owed stays, at any age; words of which nobody
-- knows whether they were said are owed to nobody by then.
-- ARGV: decided before (exclusive), how many to look at, how many to pass over (owed ones of earlier calls).
-- Returns how many were looked at, how many went.
local before = tonumber(ARGV[1])
local ids = redis.call('ZRANGEBYSCORE', key('actions'), '-inf', '(' .. ARGV[1], 'LIMIT', ARGV[3], ARGV[2])
local OVER = {none = true, done = true, failed = true}
local gone = 0
for _, id in ipairs(ids) do
  local got = redis.call('HMGET', action(id), 'state', 'money', 'budgets', 'cid', 'code')
  if not got[1] or OVER[got[1]] or (got[1] == 'unknown' and tonumber(got[2] or '0') == 0) then
    gone = gone + 1
    redis.call('ZREM', key('actions'), id)
    if got[1] == 'unknown' then redis.call('ZREM', key('unknown'), id) end
    if got[1] then
      lower(got[3], tonumber(got[2] or '0'))
      if got[1] == 'done' and got[5] then redis.call('SADD', key('codes'), got[5]) end -- it is at the shop, and no stranger
      if got[4] then redis.call('SREM', key('of', got[4]), id) end
      count(got[1], nil)
      wanted_again(id)
      redis.call('DEL', action(id))
    end
  end
end
if gone > 0 then
  local last = tonumber(redis.call('HGET', key('chain'), 'retired') or '0')
  redis.call('HSET', key('chain'), 'retired', string.format('%d', math.max(last, before)))
  redis.call('HINCRBY', key('chain'), 'retirements', 1) -- so that whoever reads the books meanwhile sees that they moved
end
return {#ids, gone}
