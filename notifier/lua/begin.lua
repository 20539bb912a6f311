-- The trace before the side effect. ARGV: id, token, now, what the words are known by.
-- Which attempt this is: go. 0: it is not ours any more, or is not to be sent now. -k: attempt k, which this store forgot and
-- was reminded of, may have said it; it is the last one now, without a word of how it ended.
local id, token = ARGV[1], ARGV[2]
if redis.call('GET', key('fence')) ~= token then return 0 end
local got = redis.call('HMGET', action(id), 'fence', 'state', 'lane', 'n')
if got[1] ~= token or (got[2] ~= 'pending' and got[2] ~= 'sending') then return 0 end
local switches = redis.call('HMGET', key('switch'), 'kill', 'hold')
if switches[1] or (switches[2] and got[3] == 'customer') then return 0 end
-- The attempt before this one ended without a word: it may have been done, and later ones must know.
if got[2] == 'sending' then redis.call('HSET', action(id), 'amb', '1') end
count(got[2], 'sending')
local told = redis.call('HGET', key('told'), id)
told = told and cjson.decode(told)
if told and told.n > tonumber(got[4] or '0') then
  redis.call('HSET', action(id), 'state', 'sending', 'began', string.format('%d', told.at), 'said', told.said or '', 'n', told.n, 'amb', '1')
  return -told.n
end
redis.call('HSET', action(id), 'state', 'sending', 'began', ARGV[3], 'said', ARGV[4])
return redis.call('HINCRBY', action(id), 'n', 1)
