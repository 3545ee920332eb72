-- Takes a batch of drafts into a room's log, each at most once.
--
-- KEYS: 1 the log (stream), 2 the keys taken (sorted set, scored by the ms of
--       the entry)
-- ARGV: 1 the live channel, 2 PUBLISH or SPUBLISH, 3 entries kept, 4 keys kept,
--       5 ms for which a key is kept, 6 the room's name, 7 whether WAIT follows
--       (1 or 0); then for each draft: its member of the keys' set, its mark (see
--       protocol.Draft), its tail
-- Returns for each draft: its member, the entry's id ("" where the log no
-- longer holds it), its ms, 1 where the key had been taken before.
--
-- A script that fails half-way is not rolled back (https://redis.io/docs/latest/
-- develop/programmability/eval-intro/), so whatever can fail comes before the
-- first write, which is an XADD, and the seq is read from the log itself.

local log, taken = KEYS[1], KEYS[2]
local room = ARGV[6]

local function split(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

-- The entry's JSON, where it is one of ours: what somebody put into the log by
-- hand has no field m, or one that doesn't begin with its id.
local function json(entry)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'm' then
      local start = '{"id":"' .. entry[1] .. '"'
      if string.sub(fields[i + 1], 1, #start) == start then
        return fields[i + 1]
      end
    end
  end
  return nil
end

-- The log's newest id, and the id, ms and seq of its newest entry of ours.
local topms, topseq, ms, seq, newest = 0, 0, 0, 0, ''
local from = '+'
for page = 1, 20 do
  local found = redis.call('XREVRANGE', log, from, '-', 'COUNT', page == 1 and 1 or 200)
  if page == 1 and #found > 0 then
    topms, topseq = split(found[1][1])
  end
  for _, entry in ipairs(found) do
    if json(entry) then
      newest = entry[1]
      ms, seq = split(newest)
      break
    end
    from = entry[1]
  end
  if seq > 0 or #found == 0 or (page > 1 and #found < 200) then
    break
  end
end

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
ms = math.max(ms, now, topms)
if ms == topms and seq + 1 <= topseq then
  ms = ms + 1
end

local reply, added = {}, {}
for i = 8, #ARGV, 3 do
  local member, mark, tail = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local score = redis.call('ZSCORE', taken, member)
  local id, at, duplicate = '', ms, 0
  if score then
    duplicate, at = 1, tonumber(score)
    local stamp = string.format('%.0f', at)
    for _, entry in ipairs(redis.call('XRANGE', log, stamp .. '-0', stamp .. '-18446744073709551615')) do
      local m = json(entry)
      if m and string.find(m, mark, 1, true) then
        id = entry[1]
        break
      end
    end
  else
    local stamp = string.format('%.0f', ms)
    id = stamp .. '-' .. string.format('%.0f', seq + 1)
    local m = '{"id":"' .. id .. '","room":"' .. room .. '","time":' .. stamp .. ',' .. tail
    redis.call('XADD', log, 'MAXLEN', ARGV[3], id, 'm', m)
    seq = seq + 1
    redis.call('ZADD', taken, stamp, member)
    added[#added + 1] = m
  end
  reply[#reply + 1] = member
  reply[#reply + 1] = id
  reply[#reply + 1] = string.format('%.0f', at)
  reply[#reply + 1] = duplicate
end

if #added > 0 then
  local extra = redis.call('ZCARD', taken) - tonumber(ARGV[4])
  if extra > 0 then
    local edge = redis.call('ZRANGE', taken, extra, extra, 'WITHSCORES')
    local cut = math.min(tonumber(edge[2]), now - tonumber(ARGV[5]))
    redis.call('ZREMRANGEBYSCORE', taken, '-inf', '(' .. string.format('%.0f', cut))
  end
  -- First the id that the new entries follow, so that who hears them knows
  -- whether they continue what it has. It is only a hint, and the log is
  -- written: that it can't be published is no reason to tell the sender that
  -- nothing happened.
  redis.pcall(ARGV[2], ARGV[1], 'e' .. newest .. '\n' .. table.concat(added, '\n'))
elseif ARGV[7] == '1' then
  -- WAIT covers what its own connection wrote (from Redis 7.2 on, nothing but
  -- that), and these entries were written by others: so one key is written anew.
  local score = redis.call('ZSCORE', taken, ARGV[8])
  redis.call('ZADD', taken, 0, ARGV[8])
  redis.call('ZADD', taken, score, ARGV[8])
end
return reply
