-- Notes in the directory of rooms when each was last active.
--
-- KEYS: 1 the directory (sorted set, room -> ms of its newest entry), 2 a key that
--       never exists
-- ARGV: 1 how many rooms are kept; then for each room three: its name, "+" to note
--       that it was active at a time or "-" to take it out if it has not been active
--       since, and that time in ms ("0" with "+": now)
-- Of two times the later counts, so it does not matter in which order nodes tell.

local directory = KEYS[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)

-- A full Redis refuses what makes it larger (see here.lua).
for i = 2, #ARGV, 3 do
  if ARGV[i + 1] == '+' then
    redis.call('SET', KEYS[2], '', 'XX')
    break
  end
end

for i = 2, #ARGV, 3 do
  local room, what, ms = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local known = tonumber(redis.call('ZSCORE', directory, room) or '0')
  if what == '-' then
    if known <= ms then redis.call('ZREM', directory, room) end
  else
    if ms == 0 then ms = now end
    if ms > known then redis.call('ZADD', directory, string.format('%.0f', ms), room) end
  end
end
local extra = redis.call('ZCARD', directory) - tonumber(ARGV[1])
if extra > 0 then
  redis.call('ZREMRANGEBYRANK', directory, 0, extra - 1)
end
return 1
