-- A fence above every other, which it returns. It is a time where that is above: also a store that forgot the fences of
-- those who came before hands out a higher one to who comes later.
local now = redis.call('TIME')
local fence = math.max(tonumber(redis.call('GET', key('fence')) or '0') + 1, now[1] * 1000000 + now[2])
fence = string.format('%d', fence)
redis.call('SET', key('fence'), fence)
return fence
