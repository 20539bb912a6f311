-- Shared by every script of the ledger. One action is one hash, `<root>:action:<id>`:
--   p, sum       the proposal as JSON, its keyed checksum; never rewritten while the customer is not erased
--   outcome, reason, arm, code, at          the decision
--   state        none | held | waiting | pending | sending | done | failed | unknown   (the outbox)
--   due, exp, lane, dep, deps, tpl, fb      when, until when, which queue, whom it waits for, who waits for it, templates
--   withdrawn    it failed as it was no longer wanted
--   n, crashes, fence, lease, amb, pid, detail   attempts and what came of them
--   began, said  when the last attempt began, and what its text is known by (`notifier.said`)
--   part         how many of its messages are sent, where it takes several
--   money, cur, budgets, caps, group, comp  what is reserved, and where; freed: the caps that it had until it was given up
--   who, cid     the customer, and the pseudonym under which other keys know them
-- Fields without a value are absent. Claims have no expiry of their own: `retire` takes them with their money out of the
-- counters, so that counters are the sum of the claims there are, at any age.
-- Every script reads all it needs before it writes, and writes the claim first: a store that refuses writes refuses
-- the first, and a script on disk is whole or absent.
local root = KEYS[1]
local KEEP = 34560000000 -- 400 days

local function key(name, id) return root .. ':' .. name .. (id and (':' .. id) or '') end
local function action(id) return key('action', id) end

-- The chain: each entry's hash covers the one before it, so a flipped bit, a lost or a moved entry shows. Linking only
-- reads, so a script can have done all that may fail before it writes.
local function linked(entries)
  local got = redis.call('HMGET', key('chain'), 'seq', 'hash')
  local log = {seq = tonumber(got[1] or '0'), hash = got[2] or ''}
  for _, entry in ipairs(entries) do
    log.seq = log.seq + 1
    entry.seq = log.seq
    local body = cjson.encode(entry)
    log.hash = redis.sha1hex(log.hash .. body)
    log[#log + 1] = {body = body, hash = log.hash}
  end
  return log
end

local function append_to_chain(log)
  if #log == 0 then return end
  for _, entry in ipairs(log) do redis.call('XADD', key('audit'), '*', 'body', entry.body, 'hash', entry.hash) end
  redis.call('HSET', key('chain'), 'seq', string.format('%d', log.seq), 'hash', log.hash)
end

local function chain(entries) append_to_chain(linked(entries)) end

local function audit(entry) chain({entry}) end

local function count(from, to)
  if from ~= to then
    if from and from ~= '' then redis.call('HINCRBY', key('counts'), from, -1) end
    if to then redis.call('HINCRBY', key('counts'), to, 1) end
  end
end

-- What is given up because it is no longer wanted has the state of what failed, and is counted beside it: people call it
-- withdrawn.
local NOT_WANTED = {recovered = true, received = true, ticket_open = true, opted_out = true, no_consent = true}
local function withdraw(id)
  redis.call('HSET', action(id), 'withdrawn', '1')
  redis.call('INCR', key('withdrawn'))
end

local function wanted_again(id)
  if redis.call('HDEL', action(id), 'withdrawn') == 1 then redis.call('DECR', key('withdrawn')) end
end

-- One queue a lane and channel, so that a channel without room leaves its entries where they are.
local function queue(lane, channel) return key('due', lane .. ':' .. channel) end

local function enter(id, lane, from, to, due)
  count(from, to)
  if from == 'failed' then wanted_again(id) end
  redis.call('HSET', action(id), 'state', to, 'due', due or 0)
  local channel = redis.call('HGET', action(id), 'ch')
  if to == 'pending' then
    redis.call('ZADD', queue(lane, channel), due, id)
    redis.call('SADD', key('queues'), lane .. ':' .. channel)
  elseif from == 'pending' or from == 'sending' then
    redis.call('ZREM', queue(lane, channel), id)
  end
  for _, name in ipairs({'held', 'unknown'}) do
    if to == name then redis.call('ZADD', key(name), due or 0, id) elseif from == name then redis.call('ZREM', key(name), id) end
  end
end

-- A counter at nothing is no key, so that yesterday's hours do not pile up.
local function lower(names, money)
  for name in string.gmatch(names or '', '%S+') do
    if redis.call('DECRBY', name, string.format('%d', money)) <= 0 then redis.call('DEL', name) end
  end
end

-- Money and caps go back: nothing was given, and nothing was said. Which caps stays known, for words that are said after all.
local function release(id)
  local got = redis.call('HMGET', action(id), 'money', 'budgets', 'caps', 'group', 'comp')
  local money = tonumber(got[1] or '0')
  if money > 0 then lower(got[2], money) end
  for name in string.gmatch(got[3] or '', '%S+') do
    if redis.call('HINCRBY', name, '#' .. got[4], -1) <= 0 then redis.call('HDEL', name, '#' .. got[4], '@' .. got[4]) end
  end
  if got[5] and got[5] ~= '' and redis.call('GET', got[5]) == id then redis.call('DEL', got[5]) end
  if got[3] and got[3] ~= '' then redis.call('HSET', action(id), 'freed', got[3]) end
  redis.call('HSET', action(id), 'money', 0, 'budgets', '', 'caps', '', 'comp', '')
end

-- The caps that went back are taken again.
local function take_caps(id, now)
  local got = redis.call('HMGET', action(id), 'freed', 'group')
  for name in string.gmatch(got[1] or '', '%S+') do
    redis.call('HINCRBY', name, '#' .. got[2], 1)
    redis.call('HSETNX', name, '@' .. got[2], now)
    redis.call('PEXPIRE', name, KEEP)
  end
  redis.call('HSET', action(id), 'caps', got[1] or '', 'freed', '')
end

-- Words whose offer will never come: without it, or not at all. `from` is the state that they leave.
local settle
local function go_alone(id, lane, from, due, fallback, now)
  if fallback and fallback ~= '' then
    redis.call('HSET', action(id), 'tpl', fallback)
    enter(id, lane, from, 'pending', due)
    return
  end
  enter(id, lane, from, 'failed', 0)
  redis.call('HSET', action(id), 'why', 'dependency')
  local cause = redis.call('HMGET', action(redis.call('HGET', action(id), 'dep') or ''), 'state', 'withdrawn')
  if cause[2] or cause[1] == 'none' then withdraw(id) end
  release(id)
  audit({at = now, id = id, event = 'failed', reason = 'dependency'})
  settle(id, false, now)
end

-- What waits for `id`, now that it is done or will never be.
function settle(id, done, now)
  local deps = redis.call('HGET', action(id), 'deps')
  for dep in string.gmatch(deps or '', '%S+') do
    local got = redis.call('HMGET', action(dep), 'state', 'lane', 'nb', 'fb')
    if got[1] == 'waiting' then
      local due = math.max(now, tonumber(got[3] or '0'))
      if done then
        enter(dep, got[2], 'waiting', 'pending', due)
      else
        go_alone(dep, got[2], 'waiting', due, got[4], now)
      end
    end
  end
end
