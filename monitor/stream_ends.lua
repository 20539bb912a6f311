-- The ids of the oldest entry kept and of the newest ever written: {oldest, newest}, "0-0" where there is none.
-- XINFO answers with the entries themselves, which may be megabytes: they stay here.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return {'0-0', '0-0'}
end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local oldest, newest = '0-0', '0-0'
for place = 1, #info, 2 do
    if info[place] == 'last-generated-id' then
        newest = info[place + 1]
    elseif info[place] == 'first-entry' and info[place + 1] then
        oldest = info[place + 1][1]
    end
end
return {oldest, newest}
