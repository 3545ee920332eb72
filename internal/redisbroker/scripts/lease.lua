-- Renews the lease of an instance, and returns all instances.
--
-- KEYS: 1 the leases (sorted set, instance -> ms at which the lease ends), 2 the instances
--       (hash: INSTANCE -> its description, JSON; INSTANCE# -> how many of its writes are
--       counted; INSTANCE@ -> when it wrote its status, in ms, a space, and the status)
-- ARGV: 1 the instance, 2 the lease's length in ms, 3 its description, 4 "new" for an
--       instance's first lease, 5 the cluster's channel, 6 PUBLISH or SPUBLISH, 7 ms for
--       which a dead instance stays listed, 8 how many of its counted writes the instance
--       knows of, 9 its status; "" for none
-- Returns 1 if the lease is held, 0 if it was lost; the count of writes; the time in ms; then
-- for each instance: its id, 1 alive or 0 dead, its description, and the value of INSTANCE@.

local leases, info = KEYS[1], KEYS[2]
local own, length, status = ARGV[1], tonumber(ARGV[2]), ARGV[9]
local call, floor, format = redis.call, math.floor, string.format
local t = call('TIME')
local now = t[1] * 1000 + floor(t[2] / 1000)

-- The count of an instance that was found dead: less than it knows of, whatever it writes
-- late.
local LOST = -1000000000

-- All leases, and three fields for each instance, as many as one call takes at once.
local all = call('ZRANGE', leases, 0, -1, 'WITHSCORES')
local known, ends, writes = {}, nil, nil
for first = 1, #all, 400 do
  local fields = {}
  for i = first, math.min(first + 398, #all - 1), 2 do
    local instance, n = all[i], #fields
    fields[n + 1], fields[n + 2], fields[n + 3] = instance, instance .. '@', instance .. '#'
  end
  for _, value in ipairs(call('HMGET', info, unpack(fields))) do
    known[#known + 1] = value
  end
end
for i = 1, #all, 2 do
  if all[i] == own then
    ends, writes = tonumber(all[i + 1]), known[3 * (i - 1) / 2 + 3]
  end
end
if not ends then
  writes = call('HGET', info, own .. '#') -- by hand, or by a failover, only the lease is gone
end
writes = tonumber(writes or 0)

-- A failover may have lost the last writes, and with them presence. A lost write shows by the
-- count.
local held = ARGV[4] == 'new' or (ends and ends > now and writes >= tonumber(ARGV[8]))
local stamped = format('%.0f ', now) .. status
if held then
  writes = writes + 1
  local set = { own .. '#', writes, own, ARGV[3] }
  if status ~= '' then
    set[5], set[6] = own .. '@', stamped
  end
  call('HSET', info, unpack(set)) -- a full Redis refuses this first write (see here.lua)
  call('ZADD', leases, format('%.0f', now + length), own)
  if ARGV[4] == 'new' then
    redis.pcall(ARGV[6], ARGV[5], 'n')
  end
end

local reply = { held and 1 or 0, held and writes or 0, now }
local function add(instance, alive, description, at)
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = instance, alive, description, at
end
for i = 1, #all, 2 do
  local instance, score = all[i], tonumber(all[i + 1])
  local place = 3 * (i - 1) / 2
  local description, at, count = known[place + 1] or '', known[place + 2] or '', known[place + 3]
  if score > now + length then
    -- Redis's clock went back. No lease is that long, or a dead node would live for as
    -- much as the clock went back.
    score = now + length
    call('ZADD', leases, format('%.0f', score), instance)
  end
  if held and instance == own then
    -- It is added below, as the newest.
  elseif score > now then
    add(instance, 1, description, at)
  elseif not count or tonumber(count) >= 0 then
    -- It is found dead, and others remove what it wrote. So it has lost its lease for good,
    -- even if Redis's clock goes back before it renews it. If that is late, since no node
    -- was alive, it stays listed as long as any other.
    call('HSET', info, instance .. '#', LOST)
    if score < now - tonumber(ARGV[7]) then
      call('ZADD', leases, format('%.0f', now), instance)
    end
    add(instance, 0, description, at)
  elseif score < now - tonumber(ARGV[7]) then
    call('ZREM', leases, instance)
    call('HDEL', info, instance, instance .. '#', instance .. '@')
  else
    add(instance, 0, description, at)
  end
end
if held then
  add(own, 1, ARGV[3], status ~= '' and stamped or '')
end
return reply
