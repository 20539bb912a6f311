-- One record of a story. KEYS: the story. ARGV: the field, which begins with the record's time; the record; how long the story
-- lasts without another (ms); the field's beginning below which records are too old; up to how many fields a story is short.
-- A long one, of a place or of who comes again, is rid of old records a few at a time, so that no write has much to do: of
-- eight fields at random, one or more is old in the mean as soon as an eighth of all are, and so there are no more.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[5]) then
  for _, field in ipairs(redis.call('HRANDFIELD', KEYS[1], 8)) do
    if field < ARGV[4] then redis.call('HDEL', KEYS[1], field) end
  end
end
return 0
