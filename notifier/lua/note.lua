-- What a person did that changes no claim. ARGV: event, about, now, who, why, from.
audit({at = tonumber(ARGV[3]), event = ARGV[1], about = ARGV[2], who = ARGV[4], why = ARGV[5], from = ARGV[6]})
return 1
