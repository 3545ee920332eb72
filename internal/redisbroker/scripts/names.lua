-- Claims and releases display names, a batch in the order given.
--
-- KEYS: 1 leases (see lease.lua), 2 names taken (hash, folded name -> "user|user…"),
--       3 users (hash, user -> "folded|name|instance|instance…"), 4 the users
--       that the instance holds (set), 5 users who are offline and whose name is
--       kept (sorted set, user -> ms), 6 counts of writes (see
--       lease.lua), 7 a key that never exists
-- ARGV: 1 the instance, 2 the cluster's channel, 3 PUBLISH or SPUBLISH, 4 ms
--       for which a name is kept so, 5 how many are kept; then for each operation
--       six: its kind, the user's id, the folded name, the name, an extra, and "shared"
--       for a user who may show the name of another
--   claim   give the user the name; with extra "keep", the name that the user has or
--           had, if it is known, in place of the given one
--   rename  the same, and publish it; extra is the mark of the renamer
--   release the user has left the instance; extra "keep" keeps the name
-- Returns for each operation: 1 done or 0 the name is another's; the name. Then
-- how many of the instance's writes are counted.

-- A full Redis refuses a batch with claims before anything is changed (see here.lua), and
-- accepts one that only releases.
for i = 6, #ARGV, 6 do
  if ARGV[i] ~= 'release' then
    redis.call('SET', KEYS[7], '', 'XX')
    break
  end
end

local leases, names, users, held, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local instance = ARGV[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)

local function alive(id)
  if id == instance then return true end
  local ends = redis.call('ZSCORE', leases, id)
  return ends and tonumber(ends) > now
end

-- Returns the record of a user: folded name, name, the live instances that hold it.
local function load(user)
  local raw = redis.call('HGET', users, user)
  if not raw then return nil end
  local parts, at = {}, {}
  for part in string.gmatch(raw .. '|', '([^|]*)|') do parts[#parts + 1] = part end
  for i = 3, #parts do
    if alive(parts[i]) then at[#at + 1] = parts[i] end
  end
  return { folded = parts[1], name = parts[2], at = at }
end

local function store(user, record)
  local raw = record.folded .. '|' .. record.name
  if #record.at > 0 then raw = raw .. '|' .. table.concat(record.at, '|') end
  redis.call('HSET', users, user, raw)
end

-- How many users are stored for one name. Further users show it without that.
local SHARING = 16

-- Returns the users stored for a name, without the given one.
local function others(user, folded)
  local list = {}
  for other in string.gmatch(redis.call('HGET', names, folded) or '', '[^|]+') do
    if other ~= user then list[#list + 1] = other end
  end
  return list
end

local function note(folded, list)
  if #list > 0 then
    redis.call('HSET', names, folded, table.concat(list, '|'))
  else
    redis.call('HDEL', names, folded)
  end
end

local function free(user, folded) note(folded, others(user, folded)) end

local function claim(user, folded, name, extra, shared, rename)
  local record = load(user)
  if extra == 'keep' and not rename and record then folded, name = record.folded, record.name end
  local noted = {}
  for _, id in ipairs(others(user, folded)) do
    local other = load(id)
    if not other or #other.at == 0 then
      redis.call('HDEL', users, id)
      redis.call('ZREM', kept, id)
    elseif other.folded == folded then
      if not shared then return 0, name end
      noted[#noted + 1] = id
    end
  end
  local was = record and #record.at > 0 and record.name or name
  if not record or #record.at == 0 then
    redis.call('ZREM', kept, user)
  end
  record = record or { at = {} }
  if record.folded and record.folded ~= folded then free(user, record.folded) end
  local here = false
  for _, id in ipairs(record.at) do here = here or id == instance end
  if not here then record.at[#record.at + 1] = instance end
  record.folded, record.name = folded, name
  store(user, record)
  if #noted < SHARING then noted[#noted + 1] = user end
  note(folded, noted)
  redis.call('SADD', held, user)
  if rename or was ~= name then
    local mark = rename and extra or ''
    redis.pcall(ARGV[3], ARGV[2], line('r', { mark, user, name }))
  end
  return 1, name
end

local function release(user, extra)
  redis.call('SREM', held, user)
  local record = load(user)
  if not record then return end
  local at = {}
  for _, id in ipairs(record.at) do
    if id ~= instance then at[#at + 1] = id end
  end
  record.at = at
  if #at > 0 then
    store(user, record)
    return
  end
  free(user, record.folded)
  if extra == 'keep' then
    store(user, record)
    redis.call('ZADD', kept, string.format('%.0f', now), user)
  else
    redis.call('HDEL', users, user)
    redis.call('ZREM', kept, user) -- another instance may have kept the name, having found this one dead
  end
end

local reply = {}
for i = 6, #ARGV, 6 do
  local what, user, folded, name, extra = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local shared = ARGV[i + 5] == 'shared'
  local done = 1
  if what == 'release' then
    release(user, extra)
  else
    done, name = claim(user, folded, name, extra, shared, what == 'rename')
  end
  reply[#reply + 1] = done
  reply[#reply + 1] = name
end

local writes = 0
if redis.call('ZSCORE', leases, instance) then
  writes = redis.call('HINCRBY', KEYS[6], instance .. '#', 1)
end
reply[#reply + 1] = writes

-- Every eighth call removes up to 1,100 kept users, more than eight calls add.
if writes % 8 == 0 then
  local old = redis.call('ZRANGEBYSCORE', kept, '-inf', string.format('%.0f', now - tonumber(ARGV[4])), 'LIMIT', 0, 1100)
  local extra = redis.call('ZCARD', kept) - tonumber(ARGV[5])
  if #old == 0 and extra > 0 then
    old = redis.call('ZRANGE', kept, 0, math.min(extra, 1100) - 1)
  end
  for _, user in ipairs(old) do
    redis.call('ZREM', kept, user)
    local record = load(user)
    if not record or #record.at == 0 then -- never a user who is online
      redis.call('HDEL', users, user)
    end
  end
end
return reply
