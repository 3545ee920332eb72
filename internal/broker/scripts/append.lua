-- Takes a batch of drafts into a room's log, each at most once.
--
-- KEYS: 1 the log (stream), 2 the keys taken (sorted set, scored by the ms of
--       the entry), 3 the ids of deleted entries (sorted set, scored by their
--       seq), 4 the ids of edits (sorted set, scored by the seq of what they edit)
-- ARGV: 1 the live channel, 2 PUBLISH or SPUBLISH, 3 entries kept, 4 keys kept,
--       5 ms for which a key is kept, 6 the room's name, 7 whether WAIT follows
--       (1 or 0); then for each draft: its member of the keys' set, its mark (see
--       protocol.Draft), its tail, its kind ("" for a message), its target, and
--       what tells that the target is the user's own ("" where it may be anyone's)
-- Returns for each draft: its member, the entry's id ("" where the log no
-- longer holds it), its ms, 1 where the key had been taken before, 2 where its
-- target is no message of the log, 3 where that is another's.
--
-- A script that fails half-way is not rolled back (https://redis.io/docs/latest/
-- develop/programmability/eval-intro/), so whatever can fail comes before the
-- first write, which is an XADD, and the seq is read from the log itself.

local log, taken, gone, edits = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
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

-- Whether a draft may be about this target: 0, or what the reply says of it.
local function judge(target, owner)
  local found = redis.call('XRANGE', log, target, target)
  local m = found[1] and json(found[1])
  if not m or string.find(m, '},"kind":"', 1, true) then
    return 2
  end
  -- The first place that looks so is the user's own: strings have their quotes
  -- escaped.
  if owner ~= '' then
    local at = string.find(m, ',"user":{"id":', 1, true)
    if not at or string.sub(m, at, at + #owner - 1) ~= owner then
      return 3
    end
  end
  return 0
end

-- Takes an entry out of the log and remembers that it was there.
local function erase(id)
  redis.call('XDEL', log, id)
  local _, n = split(id)
  redis.call('ZADD', gone, string.format('%.0f', n), id)
end

-- What may not be done fails here, before the first write: a key of another type,
-- and what a Redis user of an older version may not call. Nothing is changed.
for i = 11, #ARGV, 6 do
  if ARGV[i] ~= '' then
    redis.call('XDEL', log, '0-1')
    redis.call('ZREMRANGEBYRANK', gone, 1, 0)
    redis.call('ZCARD', edits)
    break
  end
end
local fresh, changed = seq == 0, false

local reply, added = {}, {}
for i = 8, #ARGV, 6 do
  local member, mark, tail = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local kind, target, owner = ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  local score = redis.call('ZSCORE', taken, member)
  local id, at, outcome = '', ms, 0
  if score then
    outcome, at = 1, tonumber(score)
    local stamp = string.format('%.0f', at)
    for _, entry in ipairs(redis.call('XRANGE', log, stamp .. '-0', stamp .. '-18446744073709551615')) do
      local m = json(entry)
      if m and string.find(m, mark, 1, true) then
        id = entry[1]
        break
      end
    end
  elseif kind ~= '' then
    outcome = judge(target, owner)
  end
  if outcome == 0 then
    local stamp = string.format('%.0f', ms)
    id = stamp .. '-' .. string.format('%.0f', seq + 1)
    local m = '{"id":"' .. id .. '","room":"' .. room .. '","time":' .. stamp .. ',' .. tail
    redis.call('XADD', log, 'MAXLEN', ARGV[3], id, 'm', m)
    seq = seq + 1
    redis.call('ZADD', taken, stamp, member)
    added[#added + 1] = m
    if fresh then
      -- The log begins anew: what is remembered was of another.
      redis.call('ZREMRANGEBYSCORE', gone, '-inf', '+inf')
      redis.call('ZREMRANGEBYSCORE', edits, '-inf', '+inf')
      fresh = false
    end
    if kind == 'edit' or kind == 'delete' then
      local _, n = split(target)
      local of = string.format('%.0f', n)
      changed = true
      if kind == 'edit' then
        redis.call('ZADD', edits, of, id)
      else
        -- The entry that tells of it stands in the log already, and stays there:
        -- so the newest is never a deleted one, and no seq is given twice.
        erase(target)
        for _, edit in ipairs(redis.call('ZRANGEBYSCORE', edits, of, of)) do
          erase(edit)
        end
        redis.call('ZREMRANGEBYSCORE', edits, of, of)
      end
    end
  end
  reply[#reply + 1] = member
  reply[#reply + 1] = id
  reply[#reply + 1] = string.format('%.0f', at)
  reply[#reply + 1] = outcome
end

if #added > 0 then
  local extra = redis.call('ZCARD', taken) - tonumber(ARGV[4])
  if extra > 0 then
    local edge = redis.call('ZRANGE', taken, extra, extra, 'WITHSCORES')
    local cut = math.min(tonumber(edge[2]), now - tonumber(ARGV[5]))
    redis.call('ZREMRANGEBYSCORE', taken, '-inf', '(' .. string.format('%.0f', cut))
  end
  if changed then
    -- What is about messages that have left the log is of no more use; and more
    -- ids than the log has entries are not kept.
    local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)
    local _, n = split(oldest[1][1])
    redis.call('ZREMRANGEBYSCORE', edits, '-inf', '(' .. string.format('%.0f', n))
    redis.call('ZREMRANGEBYRANK', gone, 0, -1 - tonumber(ARGV[3]))
  end
  -- First the id that the new entries follow, so that who hears them knows
  -- whether they continue what it has. It is only a hint, and the log is
  -- written: that it can't be published is no reason to tell the sender that
  -- nothing happened.
  redis.pcall(ARGV[2], ARGV[1], 'e' .. newest .. '\n' .. table.concat(added, '\n'))
elseif ARGV[7] == '1' then
  -- WAIT covers what its own connection wrote (from Redis 7.2 on, nothing but
  -- that), and these entries were written by others: so one key is written anew,
  -- of a draft that had been taken before: a refused one has none.
  for i = 1, #reply, 4 do
    if reply[i + 3] == 1 then
      local score = redis.call('ZSCORE', taken, reply[i])
      redis.call('ZADD', taken, 0, reply[i])
      redis.call('ZADD', taken, score, reply[i])
      break
    end
  end
end
return reply
