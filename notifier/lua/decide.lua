-- A person's word about a held action. ARGV: id, 'approve' | 'reject', now, who, why, from, only-for-reason ('' for any).
local id, word, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local got = redis.call('HMGET', action(id), 'outcome', 'reason', 'lane', 'exp', 'nb', 'dep', 'deps')
if not got[1] then return 'absent' end
if got[1] ~= 'held' then return 'not_held' end
if ARGV[7] ~= '' and got[2] ~= ARGV[7] then return 'other_reason' end

local function put(which, decision, reason)
  local one = redis.call('HMGET', action(which), 'outcome', 'lane', 'nb', 'dep')
  if one[1] ~= 'held' then return end
  redis.call('HSET', action(which), 'outcome', decision, 'reason', reason)
  if decision == 'send' then
    local dep = one[4] and one[4] ~= '' and redis.call('HGET', action(one[4]), 'state')
    local state = (dep and dep ~= 'done') and 'waiting' or 'pending'
    enter(which, one[2], 'held', state, math.max(now, tonumber(one[3] or '0')))
  else
    enter(which, one[2], 'held', 'none', 0)
    release(which)
  end
  audit({at = now, id = which, event = word, outcome = decision, reason = reason, who = ARGV[4], why = ARGV[5], from = ARGV[6]})
end

local expired = tonumber(got[4] or '0') > 0 and tonumber(got[4]) < now
local decision, reason = 'send', 'ok'
if word == 'reject' then decision, reason = 'suppressed', 'rejected' elseif expired then decision, reason = 'suppressed', 'expired' end
put(id, decision, reason)
for dep in string.gmatch(got[7] or '', '%S+') do put(dep, decision, reason) end
return expired and word == 'approve' and 'expired' or 'done'
