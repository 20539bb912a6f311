-- The trace before the side effect. ARGV: id, token, now, what the words are known by. 1: go; 0: it is not ours any more, or is not to be sent now.
local id, token = ARGV[1], ARGV[2]
if redis.call('GET', key('fence')) ~= token then return 0 end
local got = redis.call('HMGET', action(id), 'fence', 'state', 'lane')
if got[1] ~= token or (got[2] ~= 'pending' and got[2] ~= 'sending') then return 0 end
local switches = redis.call('HMGET', key('switch'), 'kill', 'hold')
if switches[1] or (switches[2] and got[3] == 'customer') then return 0 end
-- The attempt before this one ended without a word: it may have been done, and later ones must know.
if got[2] == 'sending' then redis.call('HSET', action(id), 'amb', '1') end
count(got[2], 'sending')
redis.call('HSET', action(id), 'state', 'sending', 'began', ARGV[3], 'said', ARGV[4])
redis.call('HINCRBY', action(id), 'n', 1)
return 1
