-- Drops the oldest entries of the log. The last one dropped stays known by number and hash: the chain goes on from there.
-- ARGV: id of the first entry that stays; number and hash of the last one that goes.
redis.call('HSET', key('chain'), 'base', ARGV[2], 'base_hash', ARGV[3])
return redis.call('XTRIM', key('audit'), 'MINID', ARGV[1])
