-- Renews the lease of one node's instance, and tells who else is alive.
--
-- KEYS: 1 leases (sorted set, instance -> ms at which it ends), 2 what nodes
--       say of themselves (hash, instance -> JSON, instance# -> how many of
--       its writes are counted, and instance@ -> when it wrote this last, in ms,
--       a space, and how it is)
-- ARGV: 1 the instance, 2 the lease's length in ms, 3 what it says of itself,
--       4 "new" for an instance's first lease, 5 the cluster's channel,
--       6 PUBLISH or SPUBLISH, 7 ms after which a dead one is forgotten, 8 how
--       many of its counted writes the instance knows of, 9 how it is; '' for
--       nothing
-- Returns: 1 when the lease is held, 0 when it was lost; how many writes are
-- counted; the time in ms; then for each instance known: its id, 1 alive or 0
-- dead, what it says of itself, and the text of instance@.

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local counter = ARGV[1] .. '#'

-- The count of an instance that was found dead: fewer writes than it knows of,
-- whatever it writes late.
local LOST = -1000000000

local function lost()
  if ARGV[4] == 'new' then return false end
  local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if not ends or tonumber(ends) <= now then return true end
  -- A failover may have lost what was written last, and with it who is here.
  return tonumber(redis.call('HGET', KEYS[2], counter) or '0') < tonumber(ARGV[8])
end

local held, writes = 0, 0
if not lost() then
  held = 1
  -- The first write is one that a full Redis refuses (see here.lua).
  writes = redis.call('HINCRBY', KEYS[2], counter, 1)
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
  if ARGV[9] ~= '' then
    redis.call('HSET', KEYS[2], ARGV[1] .. '@', string.format('%.0f ', now) .. ARGV[9])
  end
  if ARGV[4] == 'new' then
    redis.pcall(ARGV[6], ARGV[5], 'n')
  end
end

local reply = { held, writes, now }
local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
  local instance, score = all[i], tonumber(all[i + 1])
  local longest = now + tonumber(ARGV[2])
  if score > longest then
    -- Redis's clock went back, and this was written before: nobody's lease is
    -- that long, or a dead node would live for as much as the clock was off.
    score = longest
    redis.call('ZADD', KEYS[1], string.format('%.0f', score), instance)
  end
  if score < now - tonumber(ARGV[7]) then
    redis.call('ZREM', KEYS[1], instance)
    redis.call('HDEL', KEYS[2], instance, instance .. '#', instance .. '@')
  else
    if score <= now then
      -- Others take away what it left: so it has lost its lease for good, even
      -- if Redis's clock should go back before it asks again.
      redis.call('HSET', KEYS[2], instance .. '#', LOST)
    end
    reply[#reply + 1] = instance
    reply[#reply + 1] = score > now and 1 or 0
    reply[#reply + 1] = redis.call('HGET', KEYS[2], instance) or ''
    reply[#reply + 1] = redis.call('HGET', KEYS[2], instance .. '@') or ''
  end
end
return reply
