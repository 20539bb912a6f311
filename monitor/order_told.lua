-- One event of an order, in whatever order they come: the newest status decides whether the order is over, and what an
-- older event says only fills gaps. Run twice, it changes nothing.
-- KEYS: the order, its customer's live orders. ARGV: order id, status, when, how long to keep it and its contact (ms), then
-- names and values.
-- A contact is kept only while the order is live, and has an end of its own, as some feeds tell of no arrival. Servers that
-- know no end of a field (before Redis 7.4, Valkey 9) keep it as long as the order.
local STEPS = {'placed', 'paid', 'shipped', 'completed', 'return_requested', 'return_received', 'refund_requested', 'cancelled', 'refunded'}
local OVER = {completed = true, cancelled = true, refunded = true}
local order, customer = KEYS[1], KEYS[2]
local status, at = ARGV[2], tonumber(ARGV[3])

local names = {}
for place, step in ipairs(STEPS) do names[place] = 'at:' .. step end
local known = redis.call('HMGET', order, unpack(names))
local first, newest, last = at, at, status
for place, step in ipairs(STEPS) do
    local when = step == status and at or tonumber(known[place] or '')
    if when then
        first = math.min(first, when)
        if when >= newest then newest, last = when, step end
    end
end

redis.call('HSET', order, 'at:' .. status, ARGV[3])
for place = 6, #ARGV, 2 do
    redis.call(at < newest and 'HSETNX' or 'HSET', order, ARGV[place], ARGV[place + 1])
end
redis.call('PEXPIRE', order, ARGV[4])
if OVER[last] then
    redis.call('HDEL', order, 'contact')
    redis.call('ZREM', customer, ARGV[1])
else
    redis.pcall('HPEXPIRE', order, ARGV[5], 'FIELDS', 1, 'contact')
    redis.call('ZADD', customer, first, ARGV[1])
    redis.call('PEXPIRE', customer, ARGV[4])
end
return 0
