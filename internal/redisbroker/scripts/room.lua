-- What the scripts about a room's log share; it stands before each of them.
--
-- A room has two streams with one sequence of ids: messages are in the log, and
-- edits, deletions and reactions in the changes. An entry has six fields, in this
-- order: id (its own), author, key, kind ("" for a message), target ("" for a message)
-- and json, the entry as members get it. Scripts judge an entry by its fields and never
-- look into its JSON. What somebody adds to a stream by hand has other fields, or an
-- id that is not its own, and is skipped. A user's id holds no "|".
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

-- Where the values are in what ours returns.
local AUTHOR, KEY, JSON = 4, 6, 12

-- The fields of an entry, where it is one of ours.
local function ours(entry)
  local f = entry[2]
  if #f == 12 and f[1] == 'id' and f[2] == entry[1] and f[3] == 'author' and f[5] == 'key' and
    f[7] == 'kind' and f[9] == 'target' and f[11] == 'json' then
    return f
  end
  return nil
end

-- Pages bound how much that is not ours a script reads past.
local pages = 20

-- The id of a stream's newest entry of ours ('' for none), its ms, seq and fields, and
-- the ms and seq of the newest id.
local function newest(stream)
  local found = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
  if not found[1] then
    return '', 0, 0, nil, 0, 0
  end
  local topms, topseq = split(found[1][1])
  local fields = ours(found[1])
  if fields then
    return found[1][1], topms, topseq, fields, topms, topseq
  end
  local from = found[1][1]
  for _ = 1, pages do
    found = redis.call('XREVRANGE', stream, from, '-', 'COUNT', 200)
    for _, entry in ipairs(found) do
      fields = ours(entry)
      if fields then
        local ms, seq = split(entry[1])
        return entry[1], ms, seq, fields, topms, topseq
      end
      from = entry[1]
    end
    if #found < 200 then
      break
    end
  end
  return '', 0, 0, nil, topms, topseq
end

-- Whether the changes are of another log: somebody has deleted the log's key. (A
-- log whose messages were all deleted is an empty stream.)
local function stale(newestMessage, newestChange)
  return newestMessage == '' and newestChange ~= '' and redis.call('EXISTS', log) == 0
end
