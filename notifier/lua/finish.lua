-- What came of it. ARGV: id, token, verdict (done | part | retry | defer | failed | unknown), now, due, reason, provider id, detail,
-- ambiguous ('1' where it may have happened), crashed ('1' where our own code failed).
-- The answer of a send that really took place is written even by a fenced worker, as long as nobody has taken the entry.
local id, token, verdict, now, due = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local got = redis.call('HMGET', action(id), 'fence', 'state', 'lane', 'outcome')
if got[1] ~= token or (got[2] ~= 'pending' and got[2] ~= 'sending') then return 0 end
redis.call('HSET', action(id), 'why', ARGV[6], 'detail', ARGV[8])
local parts = tonumber(redis.call('HGET', action(id), 'part') or '0')
if ARGV[7] ~= '' and parts == 0 then redis.call('HSET', action(id), 'pid', ARGV[7]) end
if ARGV[9] == '1' then redis.call('HSET', action(id), 'amb', '1') end
if ARGV[10] == '1' then redis.call('HINCRBY', action(id), 'crashes', 1) end
-- One of several messages is sent: the next begins with a clean slate, at its own time.
if verdict == 'part' then
  redis.call('HSET', action(id), 'part', parts + 1, 'amb', '')
  enter(id, got[3], got[2], 'pending', due)
  return 1
end
if verdict == 'retry' or verdict == 'defer' then
  enter(id, got[3], got[2], 'pending', due)
  return 1
end
enter(id, got[3], got[2], verdict, verdict == 'unknown' and due or 0)
if verdict == 'done' then redis.call('HSET', action(id), 'sent', now) end
if verdict == 'failed' then
  if NOT_WANTED[ARGV[6]] then withdraw(id) end
  release(id)
end
-- An alert of which nothing was said: who counts it as told must hear of it, also after a crash.
if verdict == 'failed' and got[3] == 'ops' and parts == 0 then
  redis.call('ZADD', key('untold'), now, id)
  redis.call('ZREMRANGEBYSCORE', key('untold'), '-inf', now - 172800000)
end
audit({at = now, id = id, event = verdict, reason = ARGV[6], detail = ARGV[8]})
if verdict ~= 'unknown' then settle(id, verdict == 'done', now) end
return 1
