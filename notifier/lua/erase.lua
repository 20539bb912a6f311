-- Takes a person out of one action: what is queued is dropped first; what was decided and paid stays, without a name.
-- ARGV: id, now, the proposal without the person, who, why, from. Returns 0 where a send is under way or unresolved.
local id, now = ARGV[1], tonumber(ARGV[2])
local got = redis.call('HMGET', action(id), 'state', 'lane')
if not got[1] then return 1 end
if got[1] == 'sending' or got[1] == 'unknown' then return 0 end
redis.call('HSET', action(id), 'p', ARGV[3], 'erased', '1', 'who', '')
if got[1] == 'pending' or got[1] == 'waiting' or got[1] == 'held' then
  redis.call('HSET', action(id), 'outcome', 'suppressed', 'reason', 'opted_out')
  enter(id, got[2], got[1], 'none', 0)
  release(id)
  settle(id, false, now)
end
audit({at = now, id = id, event = 'erased', outcome = redis.call('HGET', action(id), 'outcome'), who = ARGV[4], why = ARGV[5], from = ARGV[6]})
return 1
