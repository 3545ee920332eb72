-- Writes to the directory of rooms.
--
-- KEYS: 1 the rooms without users (sorted set, scored by the ms of their newest entry),
--       2 the rooms with users (sorted set, scored by the number of users, negative), 3 when
--       those had their newest entry (hash, room -> ms), 4 a key that never exists
-- ARGV: 1 how many rooms without users are kept; then for each room three: its name,
--       what to write, and a number
--   +   the room has an entry of that ms (0: now)
--   -   remove it, unless it has users or an entry later than that ms
--   u   it has so many users now
-- Of two times the later one is kept, so the order in which nodes write does not matter.

local idle, busy, last = KEYS[1], KEYS[2], KEYS[3]
local call, floor, format = redis.call, math.floor, string.format
local t = call('TIME')
local now = t[1] * 1000 + floor(t[2] / 1000)

local function text(n) return format('%.0f', n) end

-- A full Redis refuses what makes it larger (see here.lua).
for i = 2, #ARGV, 3 do
  if ARGV[i + 1] == '+' or (ARGV[i + 1] == 'u' and ARGV[i + 2] ~= '0') then
    call('SET', KEYS[4], '', 'XX')
    break
  end
end

for i = 2, #ARGV, 3 do
  local room, what, n = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local users = call('ZSCORE', busy, room)
  if what == 'u' and n > 0 then
    call('ZADD', busy, text(-n), room)
    local ms = not users and call('ZSCORE', idle, room)
    if ms then
      call('HSET', last, room, text(tonumber(ms)))
      call('ZREM', idle, room)
    end
  elseif what == 'u' and users then
    call('ZREM', busy, room)
    local ms = call('HGET', last, room)
    if ms then
      call('HDEL', last, room)
      call('ZADD', idle, ms, room)
    end
  elseif what == '+' then
    local known
    if users then
      known = call('HGET', last, room)
    else
      known = call('ZSCORE', idle, room)
    end
    if n == 0 then
      n = now
    end
    if n > tonumber(known or 0) then
      if users then
        call('HSET', last, room, text(n))
      else
        call('ZADD', idle, text(n), room)
      end
    end
  elseif what == '-' and not users then
    local known = call('ZSCORE', idle, room)
    if known and tonumber(known) <= n then
      call('ZREM', idle, room)
    end
  end
end
local extra = call('ZCARD', idle) - tonumber(ARGV[1])
if extra > 0 then
  call('ZREMRANGEBYRANK', idle, 0, extra - 1)
end
return 1
