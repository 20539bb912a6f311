-- Takes what is due. ARGV: now, token, how many, lease in ms, room of each channel as JSON.
-- Returns ids with their fields; none where the store forgot our token (`watch` puts it on hold), an error where another
-- delivery came later.
-- A lease that ends without a word makes the entry due again: nothing is lost with a worker.
local now, token = tonumber(ARGV[1]), ARGV[2]
local fence = redis.call('GET', key('fence'))
if tonumber(fence or '0') > tonumber(token) then return redis.error_reply('FENCED another delivery has taken over') end
if fence ~= token then return {} end
local switches = redis.call('HMGET', key('switch'), 'kill', 'hold')
if switches[1] then return {} end
local found, left = {}, tonumber(ARGV[3])
local rooms = cjson.decode(ARGV[5])
local queues = redis.call('SMEMBERS', key('queues'))
table.sort(queues, function(a, b) return a > b end) -- ops before customer
for _, name in ipairs(queues) do
  local lane, channel = string.match(name, '^(%a+):(.*)$')
  local room = math.min(left, rooms[channel] or 1)
  if room > 0 and not (lane == 'customer' and switches[2]) then
    local ids = redis.call('ZRANGEBYSCORE', queue(lane, channel), '-inf', now, 'LIMIT', 0, room)
    left = left - #ids
    rooms[channel] = (rooms[channel] or 1) - #ids
    for _, id in ipairs(ids) do
      redis.call('ZADD', queue(lane, channel), now + tonumber(ARGV[4]), id)
      redis.call('HSET', action(id), 'fence', token)
      -- Still `sending`: an attempt that ended without a word, with its worker.
      if redis.call('HGET', action(id), 'state') == 'sending' then redis.call('HINCRBY', action(id), 'crashes', 1) end
      found[#found + 1] = {id, redis.call('HMGET', action(id), 'p', 'state', 'n', 'exp', 'tpl', 'code', 'amb', 'crashes', 'at', 'sum', 'part', 'pid')}
    end
  end
end
return found
