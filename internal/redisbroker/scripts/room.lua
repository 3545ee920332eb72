-- The shared part of the scripts about a room's log; it is put before each of them.
--
-- A room has two streams with one sequence of ids: messages are in the log, and
-- edits, deletions and reactions in the changes. An entry has six fields, in this
-- order: id (its own), author, key, kind ("" for a message), target ("" for a message)
-- and json, the entry as members get it. Scripts judge an entry by its fields and never
-- read its JSON. An entry that somebody adds to a stream by hand has other fields, or the
-- id of another one, and is skipped. A user's id contains no "|".
--
-- KEYS: 1 the log, 2 the changes, 3 the ids of deleted entries (sorted set, scored
--       by their seq), 4 the state of changed messages (hash): "e<seq>" for the edits
--       of the message with that seq, "r<seq>" for its reactions
--
-- Numbers from 1e14 on print differently in Redis and in the embedded broker, so
-- all go through text().

local log, changes, gone, stand = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local call, floor, max, format, match = redis.call, math.floor, math.max, string.format, string.match

local function text(n) return format('%.0f', n) end

local function split(id)
  local ms, seq = match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

-- The places of values in the result of ours.
local AUTHOR, KEY, JSON = 4, 6, 12

-- Returns the fields of an entry; nil if chat did not write it.
local function ours(entry)
  local f = entry[2]
  if #f == 12 and f[1] == 'id' and f[2] == entry[1] and f[3] == 'author' and f[5] == 'key' and
    f[7] == 'kind' and f[9] == 'target' and f[11] == 'json' then
    return f
  end
  return nil
end

-- Bounds how many foreign entries a script skips.
local pages = 20

-- Returns the id of the newest entry that chat wrote ('' for none), its ms, seq and
-- fields, and the ms and seq of the stream's newest id.
local function newest(stream)
  local found = call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
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
    found = call('XREVRANGE', stream, from, '-', 'COUNT', 200)
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

-- Reports whether the changes are of another log, since somebody has deleted the log's
-- key. (A log whose messages were all deleted is an empty stream.)
local function stale(newestMessage, newestChange)
  return newestMessage == '' and newestChange ~= '' and call('EXISTS', log) == 0
end
