-- Reads a page of the list of rooms: first those with users, the most users first, then
-- those without, the newest entry first. Rooms of one number come by their names, the
-- others by their names backwards. It changes nothing.
--
-- KEYS: 1 to 3 as in rooms.lua
-- ARGV: 1 how many rooms at most, 2 "u" to begin with users or "t" without, 3 the number
--       (users or ms) and 4 the room behind which the page begins; "" for the first
--       of the number
-- Returns "u" or "t" if there are more rooms after the page, else "", then for each room
-- its name, its users, and the ms of its newest entry (0 for none).
--
-- The place of a page is found by bisection, so that a page costs the same wherever it
-- begins.

local idle, busy, last = KEYS[1], KEYS[2], KEYS[3]
local call, floor = redis.call, math.floor
local limit, number, room = tonumber(ARGV[1]), tonumber(ARGV[3]), ARGV[4]

-- Compares names by their bytes; "<" compares by the language of Redis's environment.
local function less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i, i), string.byte(b, i, i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

-- Returns the element of a rank and its score, from the end if the step is -1.
local function at(key, rank, step)
  local place = step == 1 and rank or -1 - rank
  local found = call('ZRANGE', key, place, place, 'WITHSCORES')
  return found[1], tonumber(found[2])
end

-- Returns the first rank for which behind is true, which is true for all later ones.
local function bisect(key, step, behind)
  local low, high = 0, call('ZCARD', key)
  while low < high do
    local middle = floor((low + high) / 2)
    if behind(at(key, middle, step)) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local reply, more, from = { '' }, '', 0
if ARGV[2] == 'u' then
  local first = bisect(busy, 1, function(name, score)
    return -score < number or (-score == number and (room == '' or less(room, name)))
  end)
  local found = call('ZRANGE', busy, first, first + limit, 'WITHSCORES')
  for i = 1, #found, 2 do
    if i > 2 * limit then
      reply[1] = 'u'
      return reply
    end
    local name = found[i]
    reply[#reply + 1] = name
    reply[#reply + 1] = -tonumber(found[i + 1])
    reply[#reply + 1] = tonumber(call('HGET', last, name) or 0)
  end
  limit = limit - #found / 2
else
  from = bisect(idle, -1, function(name, score)
    return score < number or (score == number and (room == '' or less(name, room)))
  end)
end
local found = call('ZRANGE', idle, -1 - from - limit, -1 - from, 'WITHSCORES')
for i = #found - 1, 1, -2 do
  if #found - i > 2 * limit then
    reply[1] = 't'
    break
  end
  reply[#reply + 1] = found[i]
  reply[#reply + 1] = 0
  reply[#reply + 1] = tonumber(found[i + 1])
end
return reply
