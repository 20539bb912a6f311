-- Decide a batch, each once: the stored decision, or a new one with its money reserved and its entry queued. The batch is
-- one script, so it is on disk whole or not at all, costs one round trip and one fsync, and what all its claims share
-- (switches, rate, budgets, queues, the chain) is read and written once. All of it is decided before the first write: an
-- error in the middle of a batch leaves nothing of it behind.
-- KEYS: root. ARGV: what all claims share, as JSON; then three a claim: its parameters as JSON, the proposal as JSON
-- (opaque), its checksum. Returns {repeated, outcome, reason, arm, code, at} a claim, {0} for a lookup that finds nothing.
local all = cjson.decode(ARGV[1])
local now = all.now
local YEAR = 31536000000

local switches = redis.call('HMGET', key('switch'), 'kill', 'hold', 'breaker')
local minute -- {minute, decisions in it, usual}: read when first asked for
local reserved, added = {}, {} -- budgets: as they stand, and what this batch adds
local counted, queued, members, entries, index, kept = {}, {}, {}, {}, {}, {}
local actions, paid, caps = {}, {}, {} -- as they stand once this batch is written
local writes = {}

local function later(...) writes[#writes + 1] = {...} end

local function standing(id)
  if not actions[id] then
    local got = redis.call('HMGET', action(id), 'outcome', 'reason', 'arm', 'code', 'at', 'state', 'recovered', 'deps')
    actions[id] = {outcome = got[1], reason = got[2], arm = got[3], code = got[4], at = got[5], state = got[6],
      recovered = got[7] == '1', deps = got[8] or ''}
  end
  return actions[id]
end

local function paid_to(name)
  if paid[name] == nil then paid[name] = redis.call('GET', name) end
  return paid[name]
end

-- A cap is one hash: '@group' since when, '#group' how many actions.
local function cap(name)
  if not caps[name] then
    local found = redis.call('HGETALL', name)
    caps[name] = {}
    for i = 1, #found, 2 do caps[name][found[i]] = found[i + 1] end
  end
  return caps[name]
end

local function budget(q, ...) return key(all.space, table.concat({'budget', q.cur, ...}, ':')) end

local function spent(name)
  if not reserved[name] then
    local value = redis.call('GET', name) or '0'
    if not string.match(value, '^%-?%d+$') then error('a budget is no whole number') end
    reserved[name] = tonumber(value)
  end
  return reserved[name]
end

local function budgets_of(q)
  local found = {month = budget(q, 'month', all.month), day = budget(q, 'day', all.day_name),
    hour = budget(q, 'hour', all.hour_name)}
  found.customer = budget(q, 'customer', q.cid or 'none')
  if q.inc then found.incident = budget(q, 'incident', q.inc) end
  return found
end

local function over_budget(q, names)
  local day, hour = spent(names.day), spent(names.hour)
  if all.tenant > 0 and spent(names.month) + q.amount > all.tenant then return 'budget_tenant' end
  if all.day > 0 and day + q.amount > all.day then return 'budget_day' end
  if all.day > 0 and all.burst > 0 and hour > 0 then
    -- What is left of the day, shared over the hours left, times the burst; one claim an hour always passes.
    local allowance = math.min(all.day, (all.day - (day - hour)) / all.hours_left * all.burst)
    if hour + q.amount > allowance then return 'budget_hour' end
  end
  if q.inc and all.incident > 0 and spent(names.incident) + q.amount > all.incident then return 'budget_incident' end
  if all.customer > 0 and spent(names.customer) + q.amount > all.customer then return 'budget_customer' end
  return nil
end

local function capped(q, name, limit, yearly, names)
  local recent, year = 0, 0
  local own = '@' .. q.group
  names[name] = true
  for field, value in pairs(cap(name)) do
    if field ~= own and string.sub(field, 1, 1) == '@' then
      local age = now - tonumber(value)
      if age < all.cap_ms then recent = recent + 1 end
      if age < YEAR then year = year + 1 end
    end
  end
  return recent >= limit or (yearly and year >= yearly)
end

-- Every cap is looked at, though one says no: what was given counts in all of them.
local function over_cap(q, names)
  if not q.capped then return nil end
  local reason
  if capped(q, key(all.space, 'cap:' .. q.cid), all.cap, all.yearly, names) then reason = 'customer_cap' end
  for _, hash in ipairs(q.contacts or {}) do
    local limit = string.sub(hash, 1, 2) == 'a:' and all.address_cap or all.contact_cap
    if capped(q, key(all.space, 'contact-cap:' .. hash), limit, nil, names) then reason = reason or 'contact_cap' end
  end
  return reason
end

local OFFER = {no_consent = true, opted_out = true, no_rule = true, budget_day = true, budget_hour = true,
  budget_incident = true, budget_tenant = true, budget_customer = true, coupon_failed = true, channel_rejected = true,
  expired = true}

-- The reason of a no, whether it waits, and the template where the words change.
local function dependency(q, dep)
  if not dep then return nil, false, nil end
  local outcome, state, reason = dep.outcome, dep.state, dep.reason
  if outcome == 'send' and state ~= 'failed' then return nil, state ~= 'done', nil end
  if outcome == 'held' then return nil, true, nil end
  if all.shadow and outcome == 'suppressed' and reason == 'shadow' then return nil, false, nil end
  if q.fb and (not outcome or outcome == 'send' or OFFER[reason]) then return nil, false, q.fb end
  return reason and outcome == 'suppressed' and reason or 'dependency', false, nil
end

local function refused(q)
  if redis.call('SISMEMBER', all.opted_out, q.who) == 1 then return 'opted_out' end
  local consent = redis.call('HMGET', key('consent', q.cid), 'all', q.purpose)
  if consent[1] == 'out' or consent[2] == 'out' then return 'opted_out' end
  if all.explicit and q.purpose == 'offer' and consent[2] ~= 'in' then return 'no_consent' end
  return nil
end

-- A coupon of which the shop told us: no reason undoes it, and it counts.
local function given(q, one)
  over_cap(q, one.caps)
  if q.amount > 0 then
    one.paid = key(all.space, 'paid:' .. q.cause)
    one.budgets = budgets_of(q)
  end
end

-- All that can say no, cheapest and hardest first; `one` collects what the writes need.
local function no(q, one)
  if one.recovered then return given(q, one) end
  if switches[1] then return 'kill_switch' end
  if not one.customer then return nil end
  if q.cid and (q.words or q.amount > 0) then
    local reason = refused(q)
    if reason then return reason end
  end
  if q.amount > 0 then
    one.paid = key(all.space, 'paid:' .. q.cause)
    local other = paid_to(one.paid)
    if other and other ~= q.id then return 'already_compensated' end
  end
  local reason = over_cap(q, one.caps)
  if reason then return reason end
  reason, one.waits, one.template = dependency(q, one.dep)
  if reason then return reason end
  if q.arm == 'holdout' then return 'holdout' end
  if q.amount > 0 then
    one.budgets = budgets_of(q)
    return over_budget(q, one.budgets)
  end
  return nil
end

-- Decisions a minute against their own past; the count is kept in shadow, too, so that the baseline is there on day one.
local function breaks()
  if not minute then
    local got = redis.call('HMGET', key('rate'), 'minute', 'n', 'usual')
    local this = math.floor(now / 60000)
    minute = {at = tonumber(got[1] or this), n = tonumber(got[2] or '0'), usual = tonumber(got[3] or '0')}
    if this < minute.at then -- the clock went back: a minute that lies ahead would be counted in until it comes
      minute.at, minute.n = this, 0
    elseif this > minute.at then
      minute.usual = (minute.usual * 0.98 + minute.n * 0.02) * math.pow(0.98, math.min(this - minute.at - 1, 10000))
      minute.at, minute.n = this, 0
    end
  end
  minute.n = minute.n + 1
  return all.breaker > 0 and minute.n > math.max(all.breaker, all.factor * minute.usual)
end

local function outcome_of(q, one)
  local reason = no(q, one)
  local known = one.recovered or (one.dep and one.dep.recovered)
  local broken = not reason and not known and one.customer and breaks()
  if reason then return 'suppressed', reason end
  if broken and not all.shadow and not switches[3] then
    switches[3] = tostring(now)
    one.broke = true
    entries[#entries + 1] = {at = now, event = 'breaker', why = 'decisions a minute', n = minute.n}
  end
  if all.shadow then return 'suppressed', 'shadow' end
  -- Done already, and its words said or not: nothing is spent or sent, so there is nothing to hold.
  if known then return 'send', 'ok' end
  if one.customer and switches[2] then return 'held', 'hold' end
  if one.customer and switches[3] then return 'held', 'breaker' end
  if all.approval > 0 and q.amount > all.approval then return 'held', 'needs_approval' end
  if one.dep and one.dep.outcome == 'held' then return 'held', one.dep.reason end
  return 'send', 'ok'
end

local function state_of(outcome, one)
  if outcome == 'held' then return 'held' end
  if outcome == 'suppressed' then return 'none' end
  if one.recovered then return 'done' end
  if one.dep and one.dep.recovered then return 'unknown' end
  return one.waits and 'waiting' or 'pending'
end

local function append(list, ...)
  for i = 1, select('#', ...) do list[#list + 1] = select(i, ...) end
  return list
end

-- Money and caps: their names for the claim's record, their counters for the store.
local function reserve(q, one, fields)
  if q.amount > 0 then
    local names = {}
    for _, name in pairs(one.budgets) do
      names[#names + 1] = name
      reserved[name] = spent(name) + q.amount
      added[name] = (added[name] or 0) + q.amount
    end
    append(fields, 'money', q.amount, 'budgets', table.concat(names, ' '), 'comp', one.paid)
  end
  local names = {}
  for name in pairs(one.caps) do names[#names + 1] = name end
  if #names > 0 then append(fields, 'caps', table.concat(names, ' ')) end
end

local function write_caps(q, one)
  local number, since = '#' .. q.group, '@' .. q.group
  for name in pairs(one.caps) do
    local known = cap(name)
    known[number] = tonumber(known[number] or '0') + 1
    known[since] = known[since] or now
    later('HSET', name, number, known[number], since, known[since])
    later('PEXPIRE', name, KEEP)
  end
end

local function write(q, one, record, checksum, outcome, reason, state)
  local due = math.max(now, q.nb or 0)
  local code = outcome ~= 'suppressed' and q.code or nil
  local counts = one.customer and (outcome ~= 'suppressed' or reason == 'shadow') -- in shadow, beside the real ones
  local fields = {'outcome', outcome, 'reason', reason, 'at', now, 'p', record, 'sum', checksum, 'kind', q.kind, 'lane', q.lane,
    'ch', q.ch, 'cur', q.cur, 'amount', q.amount, 'group', q.group, 'state', state, 'due', due}
  for name, value in pairs({arm = q.arm, code = code, exp = q.exp, nb = q.nb, dep = q.dep, fb = q.fb, who = q.who,
    cid = q.cid, tpl = one.template, recovered = state == 'done' and '1' or nil,
    shadow = all.shadow and '1' or nil}) do
    append(fields, name, value)
  end
  if counts then reserve(q, one, fields) end
  later('HSET', action(q.id), unpack(fields))
  actions[q.id] = {outcome = outcome, reason = reason, arm = q.arm, code = code, at = now, state = state,
    recovered = state == 'done', deps = ''}
  if counts and one.budgets then
    paid[one.paid] = q.id
    later('SET', one.paid, q.id, 'PX', KEEP)
  end
  if counts then write_caps(q, one) end
  if one.dep and (state == 'waiting' or (state == 'held' and one.dep.outcome)) then
    one.dep.deps = one.dep.deps .. ' ' .. q.id
    later('HSET', action(q.dep), 'deps', one.dep.deps)
  end
  if one.broke then later('HSET', key('switch'), 'breaker', now) end
  counted[state] = (counted[state] or 0) + 1
  append(index, now, q.id)
  if q.cid then members[q.cid] = append(members[q.cid] or {}, q.id) end
  if state == 'pending' then
    local name = q.lane .. ':' .. q.ch
    queued[name] = append(queued[name] or {}, due, q.id)
  elseif state == 'held' or state == 'unknown' then
    kept[state] = append(kept[state] or {}, due, q.id)
  end
  entries[#entries + 1] = {at = now, id = q.id, event = 'claimed', outcome = outcome, reason = reason, kind = q.kind,
    amount = q.amount, cur = q.cur, arm = q.arm, sum = checksum, policy = q.policy, recovered = one.recovered or nil}
  return code
end

local function claim(q, record, checksum)
  local stored = standing(q.id)
  if stored.outcome then
    return {1, stored.outcome, stored.reason, stored.arm or '', stored.code or '', stored.at}
  end
  if q.look then return {0} end
  local one = {customer = q.lane == 'customer', caps = {}, waits = false}
  one.dep = q.dep and standing(q.dep) or nil
  one.recovered = q.code and redis.call('SISMEMBER', key('codes'), q.code) == 1
  local outcome, reason = outcome_of(q, one)
  local code = write(q, one, record, checksum, outcome, reason, state_of(outcome, one))
  return {0, outcome, reason, q.arm or '', code or '', now}
end

-- A write to a key that nothing has read yet: raises now where it is of another kind.
local ASKS = {HINCRBY = 'HLEN', ZADD = 'ZCARD', SADD = 'SCARD'}
local function later_unread(command, name, ...)
  redis.call(ASKS[command], name)
  later(command, name, ...)
end

-- What the whole batch adds, once each.
local function gather()
  for name, amount in pairs(added) do later('INCRBY', name, string.format('%d', amount)) end
  if minute then later('HSET', key('rate'), 'minute', minute.at, 'n', minute.n, 'usual', tostring(minute.usual)) end
  for state, number in pairs(counted) do later_unread('HINCRBY', key('counts'), state, number) end
  for name, due in pairs(queued) do
    later_unread('ZADD', key('due', name), unpack(due))
    later_unread('SADD', key('queues'), name)
  end
  for name, due in pairs(kept) do later_unread('ZADD', key(name), unpack(due)) end
  for cid, ids in pairs(members) do later_unread('SADD', key('of', cid), unpack(ids)) end
  if #index > 0 then later_unread('ZADD', key('actions'), unpack(index)) end
  redis.call('XLEN', key('audit'))
end

local answers = {}
for i = 2, #ARGV, 3 do
  answers[#answers + 1] = claim(cjson.decode(ARGV[i]), ARGV[i + 1], ARGV[i + 2])
end
gather()
local log = linked(entries)
for _, command in ipairs(writes) do redis.call(unpack(command)) end -- the claims first
append_to_chain(log)
return answers
