-- Reads a room's log. It changes nothing.
--
-- KEYS: as in room.lua
-- ARGV: 1 what to read, 2 an id or "", 3 how many at most
--       "stand": the newest messages before the id, or of all, as they stand
--       "after": the entries of any kind after the id, or from the beginning
--       "before": the entries of any kind just before the id
-- Returns "stand": the newest entry of any kind (a list, empty for none), whether
--   there are older messages (1 or 0); "after": whether the room holds the id or knows
--   it as deleted, and nothing but deleted entries is missing after it (1 or 0),
--   whether there are more; "before": "", whether there are more. Then the ids of what
--   is not ours (a list), then the entries, oldest first ("stand": newest first): the
--   values of their six fields, and for "stand" what is kept of the edits and of the
--   reactions ("" for nothing).

local what, from, n = ARGV[1], ARGV[2], tonumber(ARGV[3])
local skipped = {}

-- The newest id below one; '' where there is none.
local function below(id)
  local ms, seq = split(id)
  if seq > 0 then
    return text(ms) .. '-' .. text(seq - 1)
  elseif ms > 0 then
    return text(ms - 1) .. '-18446744073709551615'
  end
  return ''
end

-- Reads up to want entries of ours from a stream, beginning at a place of its own
-- ids ('' for nowhere): upwards by XRANGE, downwards by XREVRANGE. Returns them
-- and whether that is all there is. So that what is not ours costs a bounded
-- time, it may give up: then it is not all, and may be fewer.
local function walk(command, stream, place, want)
  local list, last = {}, ''
  if place == '' then
    return list, true
  end
  for _ = 1, pages do
    local found = redis.call(command, stream, place, command == 'XRANGE' and '+' or '-', 'COUNT', want + 1)
    for _, entry in ipairs(found) do
      if entry[1] ~= last then
        local fields = ours(entry)
        if not fields then
          if #skipped < 100 then
            skipped[#skipped + 1] = entry[1]
          end
        elseif #list == want then
          return list, false
        else
          local _, seq = split(entry[1])
          list[#list + 1] = { id = entry[1], seq = seq, fields = fields }
        end
      end
    end
    if #found <= want then
      return list, true
    end
    last = found[#found][1]
    place = last
  end
  return list, false
end

local newestMessage, _, messageSeq, message = newest(log)
local newestChange, _, changeSeq, change = newest(changes)
if stale(newestMessage, newestChange) then
  newestChange = ''
end

-- Both streams, merged: list is in the order of the walk, and ends where one of
-- them was not read further.
local function both(command, place, want)
  local a, wholeA = walk(command, log, place, want)
  local b, wholeB = {}, true
  if newestChange ~= '' then
    b, wholeB = walk(command, changes, place, want)
  end
  local list, i, j = {}, 1, 1
  local up = command == 'XRANGE'
  while #list < want do
    local x, y = a[i], b[j]
    if (not x and not wholeA) or (not y and not wholeB) or (not x and not y) then
      return list, wholeA and wholeB and not x and not y
    end
    if not y or (x and (x.seq < y.seq) == up) then
      list[#list + 1], i = x, i + 1
    else
      list[#list + 1], j = y, j + 1
    end
  end
  return list, wholeA and wholeB and i > #a and j > #b
end

-- Whether the entries between two seqs were all deleted.
local function deleted(low, high)
  return high <= low + 1 or redis.call('ZCOUNT', gone, '(' .. text(low), '(' .. text(high)) >= high - low - 1
end

-- Appends the values of an entry's fields to a list.
local function add(list, fields)
  for i = 2, JSON, 2 do
    list[#list + 1] = fields[i]
  end
end

local reply

if what == 'stand' then
  local list, whole = walk('XREVRANGE', log, from == '' and '+' or below(from), n)
  local top, head = message, {}
  if newestChange ~= '' and messageSeq < changeSeq then
    top = change
  end
  if top then
    add(head, top)
  end
  reply = { head, whole and 0 or 1, skipped }
  for _, e in ipairs(list) do
    add(reply, e.fields)
    reply[#reply + 1] = newestChange ~= '' and redis.call('HGET', stand, 'e' .. text(e.seq)) or ''
    reply[#reply + 1] = newestChange ~= '' and redis.call('HGET', stand, 'r' .. text(e.seq)) or ''
  end
  return reply
end

if what == 'after' then
  local list, whole = both('XRANGE', from == '' and '-' or from, n + 1)
  local last = 0
  if from ~= '' then
    last = select(2, split(from))
    if list[1] and list[1].id == from then
      table.remove(list, 1)
    elseif not list[1] or not redis.call('ZSCORE', gone, from) then
      -- A deletion's own entry comes after what it deletes: where there is none,
      -- this is no longer that log.
      return { 0, 0, skipped }
    end
  end
  local more = not whole
  if #list > n then
    list[#list], more = nil, true
  end
  -- Nothing but deleted entries may be missing: the changes end at another place
  -- than the log.
  local low, missing = last, 0
  for _, e in ipairs(list) do
    missing = missing + e.seq - low - 1
    low = e.seq
  end
  if missing > 0 and redis.call('ZCOUNT', gone, '(' .. text(last), '(' .. text(low)) < missing then
    return { 0, 0, skipped }
  end
  reply = { 1, more and 1 or 0, skipped }
  for _, e in ipairs(list) do
    add(reply, e.fields)
  end
  return reply
end

local list, whole = both('XREVRANGE', below(from), n)
local _, high = split(from)
local fits = #list
for k, e in ipairs(list) do
  if not deleted(e.seq, high) then
    fits = k - 1
    break
  end
  high = e.seq
end
reply = { '', (fits == #list and not whole) and 1 or 0, skipped }
for k = fits, 1, -1 do
  add(reply, list[k].fields)
end
return reply
