-- One word about one complaint, in whatever order they come: whether its ticket is open goes by the newest opening and the
-- newest end, and of both at one moment the end counts. An answer opens what nobody opened before it, and nothing that
-- was ended. Run twice, it changes nothing.
-- KEYS: the complaint; the root of the open tickets of orders and customers; that of the sets that older versions wrote.
-- ARGV: complaint id, what it is ('opened' | 'heard' | 'closed'), when, order or '', customer or '', how long an open ticket
-- lasts without a word (ms), how long to keep (ms).
local complaint, root, old = KEYS[1], KEYS[2], KEYS[3]
local id, word, at, lasts = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[6])

local known = redis.call('HMGET', complaint, 'opened', 'heard', 'closed', 'order', 'customer')
local opened, heard, closed = tonumber(known[1] or ''), tonumber(known[2] or ''), tonumber(known[3] or '')
local newest = math.max(opened or 0, heard or 0, closed or 0)
if word == 'opened' then opened = math.max(opened or 0, at) end
if word == 'heard' then heard = math.max(heard or 0, at) end
if word == 'closed' then closed = math.max(closed or 0, at) end
redis.call('HSET', complaint, word, string.format('%d', ({opened = opened, heard = heard, closed = closed})[word]))

local since = math.max(opened or 0, heard or 0)
local open = since > 0 and (not closed or (opened or 0) > closed)

for place, kind in ipairs({'order', 'customer'}) do
  local whose, named = known[3 + place], ARGV[3 + place]
  if named ~= '' and named ~= whose and (not whose or at >= newest) then
    if whose then redis.call('ZREM', root .. ':' .. kind .. ':' .. whose, id) end
    redis.call('HSET', complaint, kind, named)
    whose = named
  end
  if whose then
    local tickets = root .. ':' .. kind .. ':' .. whose
    redis.call('SREM', old .. ':' .. kind .. ':' .. whose, id)
    if open then
      redis.call('ZADD', tickets, string.format('%d', since), id)
      redis.call('ZREMRANGEBYSCORE', tickets, '-inf', string.format('(%d', since - lasts))
      redis.call('PEXPIRE', tickets, ARGV[7])
    else
      redis.call('ZREM', tickets, id)
    end
  end
end
redis.call('PEXPIRE', complaint, ARGV[7])
return 0
