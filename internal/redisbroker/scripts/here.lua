-- Writes which of one instance's users are in a room, and publishes the changes.
--
-- KEYS: 1 who is here (hash, "user|instance" -> name), 2 on how many instances users are
--       (hash, user -> number), 3 a key that never exists; outside of a Redis Cluster 4 the
--       rooms in which the instance has written (set)
-- ARGV: 1 the live channel, 2 PUBLISH or SPUBLISH, 3 the instance,
--       4 "all" to remove all that the instance wrote here first, else "", 5 the room's
--       name; then for each change: the user's id, 1 here or 0 gone, the name
-- Returns how many users are in the room now.
--
-- Any write command ends Redis's memory check for the rest of a script
-- (scriptVerifyOOM in its script.c), also one that only deletes. So a call that
-- may make Redis larger begins with one that is checked and changes nothing.

local here, users = KEYS[1], KEYS[2]
local instance = ARGV[3]
local joined, left = {}, {}

for i = 6, #ARGV, 3 do
  if ARGV[i + 1] == '1' then
    redis.call('SET', KEYS[3], '', 'XX')
    if KEYS[4] then
      redis.call('SADD', KEYS[4], ARGV[5])
    end
    break
  end
end

local function gone(user)
  local field = user .. '|' .. instance
  local name = redis.call('HGET', here, field)
  if not name then return end
  redis.call('HDEL', here, field)
  if redis.call('HINCRBY', users, user, -1) <= 0 then
    redis.call('HDEL', users, user)
    left[#left + 1] = user
    left[#left + 1] = name
  end
end

if ARGV[4] == 'all' then
  local suffix = '|' .. instance
  for _, field in ipairs(redis.call('HKEYS', here)) do
    if string.sub(field, -#suffix) == suffix then
      gone(string.sub(field, 1, -#suffix - 1))
    end
  end
end

for i = 6, #ARGV, 3 do
  local user, name = ARGV[i], ARGV[i + 2]
  if ARGV[i + 1] == '1' then
    if redis.call('HSET', here, user .. '|' .. instance, name) == 1 then
      if redis.call('HINCRBY', users, user, 1) == 1 then
        joined[#joined + 1] = user
        joined[#joined + 1] = name
      end
    end
  else
    gone(user)
  end
end

local count = redis.call('HLEN', users)
if #joined + #left > 0 then
  local fields = { string.format('%.0f', count) }
  local function add(sign, list)
    for i = 1, #list, 2 do
      fields[#fields + 1] = sign
      fields[#fields + 1] = list[i]
      fields[#fields + 1] = list[i + 1]
    end
  end
  add('+', joined)
  add('-', left)
  redis.pcall(ARGV[2], ARGV[1], line('p', fields))
end
return count
