-- What the scripts about a room's log share; it stands before each of them.
--
-- A room has two streams with one sequence of ids: messages are in the log, and
-- edits, deletions and reactions in the changes. An entry has the fields m, its
-- JSON, and k, "USER|KEY" of who said it under which key. A user's id holds no "|".
--
-- KEYS: 1 the log, 2 the changes, 3 the ids of deleted entries (sorted set, scored
--       by their seq), 4 what messages have become (hash): "e<seq>" for the edits
--       of the message with that seq, "r<seq>" for its reactions
--
-- Numbers from 1e14 on print differently in Redis and in the embedded broker, so
-- all go through text().

local log, changes, gone, stand = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local function text(n) return string.format('%.0f', n) end

local function split(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function field(entry, name)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == name then
      return fields[i + 1]
    end
  end
  return nil
end

-- The entry's JSON, where it is one of ours: what somebody put into a stream by
-- hand has no field m, or one that doesn't begin with its id.
local function json(entry)
  local m = field(entry, 'm')
  local start = '{"id":"' .. entry[1] .. '"'
  if m and string.sub(m, 1, #start) == start then
    return m
  end
  return nil
end

-- Pages bound how much that is not ours a script reads past.
local pages = 20

-- The id of a stream's newest entry of ours ('' for none), its ms, seq and JSON, and
-- the ms and seq of the newest id.
local function newest(stream)
  local found = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
  if not found[1] then
    return '', 0, 0, '', 0, 0
  end
  local topms, topseq = split(found[1][1])
  local m = json(found[1])
  if m then
    return found[1][1], topms, topseq, m, topms, topseq
  end
  local from = found[1][1]
  for _ = 1, pages do
    found = redis.call('XREVRANGE', stream, from, '-', 'COUNT', 200)
    for _, entry in ipairs(found) do
      m = json(entry)
      if m then
        local ms, seq = split(entry[1])
        return entry[1], ms, seq, m, topms, topseq
      end
      from = entry[1]
    end
    if #found < 200 then
      break
    end
  end
  return '', 0, 0, '', topms, topseq
end

-- Whether the changes are of another log: somebody has deleted the log's key. (A
-- log whose messages were all deleted is an empty stream.)
local function stale(newestMessage, newestChange)
  return newestMessage == '' and newestChange ~= '' and redis.call('EXISTS', log) == 0
end
