-- A person's word about a held action, or its time, which is over. ARGV: id, 'approve' | 'reject' | 'expire', now, who, why, from, only-for-reason ('' for any),
-- the amount above which two people must approve (0: none), the identity of this one, the amount above which one must.
local id, word, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local got = redis.call('HMGET', action(id), 'outcome', 'reason', 'lane', 'exp', 'nb', 'dep', 'deps', 'amount', 'first')
if not got[1] then return 'absent' end
if got[1] ~= 'held' then return got[2] == 'expired' and word == 'approve' and 'expired' or 'not_held' end
if ARGV[7] ~= '' and got[2] ~= ARGV[7] then return 'other_reason' end
local expired = tonumber(got[4] or '0') > 0 and tonumber(got[4]) < now
if word == 'expire' then
  if not expired then return 'not_expired' end
  -- Not before the shop has been asked: a past that a restore took away may have given what is held here.
  if redis.call('HGET', key('switch'), 'hold') then return 'on_hold' end
end

local GONE = {failed = true, none = true}
local function put(which, decision, reason)
  local one = redis.call('HMGET', action(which), 'outcome', 'lane', 'nb', 'dep', 'fb')
  if one[1] ~= 'held' then return end
  local due = math.max(now, tonumber(one[3] or '0'))
  redis.call('HSET', action(which), 'outcome', decision, 'reason', reason)
  if decision == 'send' then
    local waits = one[4] and one[4] ~= ''
    local dep = waits and redis.call('HGET', action(one[4]), 'state')
    if waits and (not dep or GONE[dep]) then -- it was given up or refused meanwhile, and will not come to wake these
      go_alone(which, one[2], 'held', due, one[5], now)
    else
      enter(which, one[2], 'held', (waits and dep ~= 'done') and 'waiting' or 'pending', due)
    end
  else
    enter(which, one[2], 'held', 'none', 0)
    release(which)
  end
  audit({at = now, id = which, event = word, outcome = decision, reason = reason, who = ARGV[4], why = ARGV[5], from = ARGV[6]})
end

local amount, above, asks = tonumber(got[8] or '0'), tonumber(ARGV[8]), tonumber(ARGV[10])
-- What was held with everything else is let go with everything else, but a large one still waits for its own yes.
if ARGV[7] ~= '' then
  local dep = got[6] and got[6] ~= '' and redis.call('HMGET', action(got[6]), 'outcome', 'reason') or {}
  local waits = asks > 0 and amount > asks and 'needs_approval' or (dep[1] == 'held' and dep[2]) or nil
  if waits then
    if waits ~= got[2] then
      redis.call('HSET', action(id), 'reason', waits)
      audit({at = now, id = id, event = 'still_held', outcome = 'held', reason = waits, who = ARGV[4], why = ARGV[5], from = ARGV[6]})
    end
    return waits
  end
end
if word == 'approve' and not expired and ARGV[7] == '' and above > 0 and amount > above then
  if got[9] == ARGV[9] then return 'same_person' end
  if not got[9] then
    redis.call('HSET', action(id), 'first', ARGV[9])
    audit({at = now, id = id, event = 'approve_first', who = ARGV[4], why = ARGV[5], from = ARGV[6]})
    return 'second_needed'
  end
end
local decision, reason = 'send', 'ok'
if word == 'reject' then decision, reason = 'suppressed', 'rejected' elseif expired then decision, reason = 'suppressed', 'expired' end
put(id, decision, reason)
for dep in string.gmatch(got[7] or '', '%S+') do put(dep, decision, reason) end
if decision == 'suppressed' then settle(id, false, now) end -- words that were approved before
return expired and word ~= 'reject' and 'expired' or 'done'
