-- Decide once: the stored decision, or a new one with its money reserved and its entry queued, all or nothing.
-- KEYS: root, action, consent of the customer, customer's caps, compensation of the cause, action it depends on,
--       budgets (tenant, day, hour, incident, customer), then caps of contact hashes.
-- ARGV: parameters as JSON, the proposal as JSON (opaque), its checksum.
local q = cjson.decode(ARGV[1])
local id, now = q.id, q.now
local self = action(id)

local stored = redis.call('HMGET', self, 'outcome', 'reason', 'arm', 'code', 'at')
if stored[1] then return {1, stored[1], stored[2], stored[3] or '', stored[4] or '', stored[5]} end

local switches = redis.call('HMGET', key('switch'), 'kill', 'hold', 'breaker')
local dep = q.dep and redis.call('HMGET', action(q.dep), 'outcome', 'state', 'reason', 'recovered', 'deps') or nil
local recovered = q.code and redis.call('SISMEMBER', key('codes'), q.code) == 1
local customer = q.lane == 'customer'
local template = nil -- set where the words change
local waits = false

local function capped(name, limit, yearly)
  local recent, year = 0, 0
  local all = redis.call('HGETALL', name)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) == '@' and all[i] ~= '@' .. q.group then
      local age = now - tonumber(all[i + 1])
      if age < q.cap_ms then recent = recent + 1 end
      if age < 31536000000 then year = year + 1 end
    end
  end
  return recent >= limit or (yearly and year >= yearly)
end

local function spent(name) return tonumber(redis.call('GET', name) or '0') end

local function over_budget()
  local day, hour = spent(KEYS[8]), spent(KEYS[9])
  if q.tenant > 0 and spent(KEYS[7]) + q.amount > q.tenant then return 'budget_tenant' end
  if q.day > 0 and day + q.amount > q.day then return 'budget_day' end
  if q.day > 0 and q.burst > 0 and hour > 0 then
    -- What is left of the day, shared over the hours left, times the burst; one claim an hour always passes.
    local allowance = math.min(q.day, (q.day - (day - hour)) / q.hours_left * q.burst)
    if hour + q.amount > allowance then return 'budget_hour' end
  end
  if q.incident > 0 and spent(KEYS[10]) + q.amount > q.incident then return 'budget_incident' end
  if q.customer > 0 and spent(KEYS[11]) + q.amount > q.customer then return 'budget_customer' end
  return nil
end

local OFFER = {no_consent = true, opted_out = true, no_rule = true, budget_day = true, budget_hour = true,
  budget_incident = true, budget_tenant = true, budget_customer = true, coupon_failed = true, channel_rejected = true,
  expired = true}

local function dependency()
  if not dep then return nil end
  local outcome, state, reason = dep[1], dep[2], dep[3]
  if outcome == 'send' and state ~= 'failed' then
    waits = state ~= 'done'
    return nil
  end
  if outcome == 'held' then waits = true return nil end
  if q.shadow and outcome == 'suppressed' and reason == 'shadow' then return nil end
  if q.fb and (not outcome or outcome == 'send' or OFFER[reason]) then
    template = q.fb
    return nil
  end
  return reason and outcome == 'suppressed' and reason or 'dependency'
end

local function no()
  if switches[1] then return 'kill_switch' end
  if not customer then return nil end
  if q.words or q.amount > 0 then
    local consent = redis.call('HMGET', KEYS[3], 'all', q.purpose)
    if q.opted_out_key and redis.call('SISMEMBER', q.opted_out_key, q.who) == 1 then return 'opted_out' end
    if consent[1] == 'out' or consent[2] == 'out' then return 'opted_out' end
    if q.explicit and q.purpose == 'offer' and consent[2] ~= 'in' then return 'no_consent' end
  end
  if q.amount > 0 then
    local given = redis.call('GET', KEYS[5])
    if given and given ~= id then return 'already_compensated' end
  end
  if q.capped then
    if capped(KEYS[4], q.cap, q.yearly) then return 'customer_cap' end
    for i = 12, #KEYS do
      if capped(KEYS[i], q.contact_cap, nil) then return 'contact_cap' end
    end
  end
  local refused = dependency()
  if refused then return refused end
  if q.arm == 'holdout' then return 'holdout' end
  if q.amount > 0 and not recovered then return over_budget() end
  return nil
end

-- Decisions a minute against their own past; the count is kept in shadow, too, so that the baseline is there on day one.
local function breaks()
  local name = key('rate')
  local got = redis.call('HMGET', name, 'minute', 'n', 'usual')
  local minute = math.floor(now / 60000)
  local before, n, usual = tonumber(got[1] or minute), tonumber(got[2] or '0'), tonumber(got[3] or '0')
  if minute > before then
    usual = usual * 0.98 + n * 0.02
    usual = usual * math.pow(0.98, math.min(minute - before - 1, 10000))
    n, before = 0, minute
  end
  n = n + 1
  return {before, n, usual}, q.breaker > 0 and n > math.max(q.breaker, q.factor * usual)
end

local reason = no()
local rate, broken = nil, false
if not reason and customer then rate, broken = breaks() end
local outcome = 'send'
if reason then
  outcome = 'suppressed'
elseif q.shadow then
  outcome, reason = 'suppressed', 'shadow'
elseif customer and switches[2] then
  outcome, reason = 'held', 'hold'
elseif customer and (switches[3] or broken) then
  outcome, reason = 'held', 'breaker'
elseif q.amount > q.approval and q.approval > 0 then
  outcome, reason = 'held', 'needs_approval'
elseif dep and dep[1] == 'held' then
  outcome, reason = 'held', dep[3]
else
  reason = 'ok'
end
local counts = outcome ~= 'suppressed' or reason == 'shadow' -- money and caps are counted, in shadow beside the real ones

-- From here on only writes; the claim first.
local state, due = 'none', math.max(now, q.nb or 0)
if outcome == 'held' then
  state = 'held'
elseif outcome == 'send' then
  state = waits and 'waiting' or 'pending'
  if recovered then state = 'done' elseif dep and dep[4] == '1' then state = 'unknown' end
end
redis.call('HSET', self, 'outcome', outcome, 'reason', reason, 'arm', q.arm or '', 'code', outcome == 'suppressed' and '' or q.code or '',
  'at', now, 'p', ARGV[2], 'sum', ARGV[3], 'kind', q.kind, 'lane', q.lane, 'exp', q.exp or 0, 'nb', q.nb or 0, 'cur', q.cur,
  'amount', q.amount, 'dep', q.dep or '', 'fb', q.fb or '', 'tpl', template or '', 'group', q.group, 'who', q.who or '', 'ch', q.ch)
redis.call('PEXPIRE', self, KEEP)
if counts and customer then
  if q.amount > 0 then
    local names = {}
    for i = 7, 11 do
      if i ~= 10 or q.has_incident then
        local total = redis.call('INCRBY', KEYS[i], string.format('%d', q.amount))
        if total == q.amount then redis.call('PEXPIRE', KEYS[i], KEEP) end -- new: the others have theirs
        names[#names + 1] = KEYS[i]
      end
    end
    redis.call('SET', KEYS[5], id, 'PX', KEEP)
    redis.call('HSET', self, 'money', q.amount, 'budgets', table.concat(names, ' '), 'comp', KEYS[5])
  end
  if q.capped then
    local names = {KEYS[4]}
    for i = 12, #KEYS do names[#names + 1] = KEYS[i] end
    for _, name in ipairs(names) do
      redis.call('HSETNX', name, '@' .. q.group, now)
      redis.call('HINCRBY', name, '#' .. q.group, 1)
      redis.call('PEXPIRE', name, KEEP)
    end
    redis.call('HSET', self, 'caps', table.concat(names, ' '))
  end
end
if rate then redis.call('HSET', key('rate'), 'minute', rate[1], 'n', rate[2], 'usual', tostring(rate[3])) end
if broken and not q.shadow and not switches[3] then
  redis.call('HSET', key('switch'), 'breaker', now)
  audit({at = now, event = 'breaker', why = 'decisions a minute', n = rate[2]})
end
if q.cid then
  redis.call('SADD', key('of', q.cid), id)
  redis.call('PEXPIRE', key('of', q.cid), KEEP)
end
redis.call('ZADD', key('actions'), now, id)
if state == 'done' then redis.call('HSET', self, 'recovered', '1') end
if dep and (state == 'waiting' or (state == 'held' and dep[1])) then
  redis.call('HSET', action(q.dep), 'deps', (dep[5] or '') .. ' ' .. id)
end
enter(id, q.lane, '', state, due)
audit({at = now, id = id, event = 'claimed', outcome = outcome, reason = reason, kind = q.kind, amount = q.amount, cur = q.cur,
  arm = q.arm, sum = ARGV[3], policy = q.policy, recovered = recovered or nil})
return {0, outcome, reason, q.arm or '', outcome ~= 'suppressed' and q.code or '', now}
