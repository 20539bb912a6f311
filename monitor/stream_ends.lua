-- The ids of the oldest entry kept and of the newest ever written, "0-0" where there is none; and how many were written
-- and are gone, -1 where the server does not count (before 7): {oldest, newest, gone}.
-- XINFO answers with the entries themselves, which may be megabytes: they stay here.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return {'0-0', '0-0', 0}
end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local oldest, newest, added, length = '0-0', '0-0', nil, 0
for place = 1, #info, 2 do
    if info[place] == 'last-generated-id' then
        newest = info[place + 1]
    elseif info[place] == 'first-entry' and info[place + 1] then
        oldest = info[place + 1][1]
    elseif info[place] == 'entries-added' then
        added = info[place + 1]
    elseif info[place] == 'length' then
        length = info[place + 1]
    end
end
return {oldest, newest, added and added - length or -1}
