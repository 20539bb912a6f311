-- A customer's word. KEYS: root, consent. ARGV: purpose, 'in' | 'out', now, source, text version, pseudonym, who.
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2], ARGV[1] .. ':at', ARGV[3], ARGV[1] .. ':source', ARGV[4], ARGV[1] .. ':text', ARGV[5])
audit({at = tonumber(ARGV[3]), event = 'consent', purpose = ARGV[1], to = ARGV[2], source = ARGV[4], text = ARGV[5], customer = ARGV[6], who = ARGV[7]})
return 1
