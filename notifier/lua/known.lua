-- Codes that the shop has and the ledger does not know: a claim that asks for one of them is done already.
-- ARGV: now, who, why, from, codes...
for i = 5, #ARGV do redis.call('SADD', key('codes'), ARGV[i]) end
audit({at = tonumber(ARGV[1]), event = 'codes_known', n = #ARGV - 4, who = ARGV[2], why = ARGV[3], from = ARGV[4]})
return #ARGV - 4
