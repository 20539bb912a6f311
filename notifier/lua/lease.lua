-- Takes what is due. ARGV: now, token, how many, lease in ms. Returns ids with their fields; 'fenced' for a stale token.
-- A lease that ends without a word makes the entry due again: nothing is lost with a worker.
local now, token = tonumber(ARGV[1]), ARGV[2]
if redis.call('GET', key('fence')) ~= token then return redis.error_reply('FENCED another delivery has taken over') end
local switches = redis.call('HMGET', key('switch'), 'kill', 'hold')
if switches[1] then return {} end
local found, left = {}, tonumber(ARGV[3])
for _, lane in ipairs({'ops', 'customer'}) do
  if left > 0 and not (lane == 'customer' and switches[2]) then
    local ids = redis.call('ZRANGEBYSCORE', queue(lane), '-inf', now, 'LIMIT', 0, left)
    left = left - #ids
    for _, id in ipairs(ids) do
      redis.call('ZADD', queue(lane), now + tonumber(ARGV[4]), id)
      redis.call('HSET', action(id), 'fence', token)
      -- Still `sending`: an attempt that ended without a word, with its worker.
      if redis.call('HGET', action(id), 'state') == 'sending' then redis.call('HINCRBY', action(id), 'crashes', 1) end
      found[#found + 1] = {id, redis.call('HMGET', action(id), 'p', 'state', 'n', 'exp', 'tpl', 'code', 'amb', 'crashes', 'at', 'sum')}
    end
  end
end
return found
