-- Appends a batch of drafts to a room's log, each at most once.
--
-- KEYS: 1 to 4 as in room.lua, 5 the accepted keys (hash, "USER|KEY" -> id of the
--       entry), 6 the accepted keys before those (a hash of the same form, which does
--       not change), 7 the reactions of users (sorted set of "SEQ|EMOJI|USER", scored
--       by the seq of the message), 8 the seqs of the messages that 4 and 7 hold
--       something about (sorted set, scored by the seq), 9 the newest appends of the
--       partition (stream; see moved.go)
-- ARGV: 1 the live channel, 2 PUBLISH or SPUBLISH, 3 messages kept, 4 the room's name,
--       5 whether WAIT follows (1 or 0); then for each draft: its author, its key, its
--       kind ("" for a message), its tail (see protocol.Draft), and for a change: its
--       target, whether the target may be another's (1 or 0), its text or emoji, and
--       whether a reaction is added (1) or removed (0)
-- Returns for each draft: "USER|KEY"; the entry's id, "" for a refused draft; and 0
-- accepted, 1 the key was accepted before, 2 its target is no message of the log, 3 the
-- target is another's, 4 it was edited too often, 5 it has too many emoji, 6 there are
-- too many reactions, 7 the key was accepted before and the log no longer holds the entry.
--
-- Accepted keys are in two hashes. New ones go into 5. When that is KEY_AGE old and has
-- KEYS_KEPT keys, it replaces 6, whose keys are then older and beyond the newest
-- KEYS_KEPT. So a key costs constant time, and expired ones are removed by one UNLINK,
-- which frees them in another thread. Field "since" of 5 is the ms at which its time
-- began, 20 digits, and "+" if 6 may exist. It is filled up to more than 64 bytes, since
-- Redis would keep up to 512 short fields in a list, and search that.
--
-- A script that fails half-way is not rolled back (https://redis.io/docs/latest/
-- develop/programmability/eval-intro/), so whatever can fail comes before the
-- first write, and the seq is read from the streams themselves.

local taken, before, reacts, marked = KEYS[5], KEYS[6], KEYS[7], KEYS[8]

-- The newest entry of either stream, and what the next id must be above.
local head, ms, seq, _, logms, logseq = newest(log)
local change, cms, cseq, _, changems, changeseq = newest(changes)
if stale(head, change) then
  change, cseq, changems, changeseq = '', 0, 0, 0
end
if cseq > seq then
  head, ms, seq = change, cms, cseq
end

local t = call('TIME')
local now = t[1] * 1000 + floor(t[2] / 1000)
ms = max(ms, now, logms, changems)
if (ms == logms and seq + 1 <= logseq) or (ms == changems and seq + 1 <= changeseq) then
  ms = ms + 1 -- an entry written by hand has a higher seq in this very ms
end
local stamp = text(ms)

-- The drafts, and the fields to look up.
local drafts, fields = {}, { 'since' }
local i, n, argc = 6, 0, #ARGV
while i <= argc do
  local author, key, kind = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local d = { author = author, key = key, kind = kind, tail = ARGV[i + 3], member = author .. '|' .. key }
  i = i + 4
  if kind ~= '' then
    d.target, d.free, d.what, d.on = ARGV[i], ARGV[i + 1] == '1', ARGV[i + 2], ARGV[i + 3] == '1'
    i = i + 4
  end
  n = n + 1
  drafts[n], fields[n + 1] = d, d.member
end
local known = call('HMGET', taken, unpack(fields))
local since = known[1] and tonumber(string.sub(known[1], 1, 20))
local older = since and string.sub(known[1], 21, 21) == '+'
local earlier = older and call('HMGET', before, unpack(fields))

-- Which kinds of drafts there are whose keys are new.
local changing, growing, repeating = false, false, false
for k = 1, n do
  local d = drafts[k]
  d.was = known[k + 1] or (earlier and earlier[k + 1])
  if d.was then
    repeating = true
  elseif d.kind == '' then
    growing = true
  else
    changing, growing = true, growing or d.kind ~= 'delete'
  end
end

local fresh = head == ''
if growing and (fresh or changing) then
  -- The first write of a script decides whether a full Redis refuses it; later ones
  -- pass. A full Redis refuses this one, which otherwise changes nothing. Deletions
  -- alone go without it, since they free memory. If there are only messages, the first
  -- XADD is that write.
  call('ZADD', reacts, 'XX', 0, '')
end
if growing and fresh then
  -- The log begins anew: these keys are of another one.
  call('UNLINK', changes, gone, stand, reacts, marked)
end
if changing then
  -- These change nothing. They fail for a key of another type, and for commands that
  -- Redis's user may not call.
  call('XDEL', log, '0-1')
  call('XDEL', changes, '0-1')
  call('HDEL', stand, '')
  call('ZREM', reacts, '')
  call('ZREMRANGEBYRANK', gone, 1, 0)
  call('ZREM', marked, '')
end

-- The most that one call prunes, as forget counts it: about a millisecond.
local PRUNED_AT_ONCE = 2000

-- Makes the functions that only changes and repeats need: most calls have new messages
-- only.
local function tools()
  -- The edits of a message: how many, the ids of their entries, and the ms of the
  -- last one, kept as "MS COUNT ID,ID,… TEXT".
  local function editsOf(of)
    local kept = call('HGET', stand, 'e' .. of)
    if not kept then
      return 0, ''
    end
    local _, count, list = string.match(kept, '^(%d+) (%d+) (%S*) ')
    return tonumber(count), list
  end

  -- The reactions of a message, in their order, kept as a line "EMOJI COUNT ID,ID,…"
  -- each, and how many they are in all.
  local function reactionsOf(of)
    local list, total = {}, 0
    for emoji, count, users in string.gmatch(call('HGET', stand, 'r' .. of) or '', '(%S+) (%d+) ([^\n]*)') do
      list[#list + 1] = { emoji = emoji, count = tonumber(count), users = users }
      total = total + tonumber(count)
    end
    return list, total
  end

  -- Adds or removes a reaction in the list of its message. Returns whether that changes
  -- anything, and how many users have the emoji then.
  local function react(d)
    local at
    for k, r in ipairs(d.reactions) do
      if r.emoji == d.what then
        at = k
      end
    end
    local user = d.author
    local had = call('ZSCORE', reacts, d.of .. '|' .. d.what .. '|' .. user)
    if (had and true or false) == d.on then
      return false, at and d.reactions[at].count or 0
    end
    if not at then
      at = #d.reactions + 1
      d.reactions[at] = { emoji = d.what, count = 0, users = '' }
    end
    local r, users = d.reactions[at], {}
    for id in string.gmatch(r.users, '[^,]+') do
      if id ~= user then
        users[#users + 1] = id
      end
    end
    if d.on and #users < MAX_USERS then
      users[#users + 1] = user
    end
    r.count = r.count + (d.on and 1 or -1)
    r.users = table.concat(users, ',')
    if r.count <= 0 then
      table.remove(d.reactions, at)
    end
    return true, r.count
  end

  -- Returns the outcome of a change: 0 if it is accepted.
  local function judge(d)
    local found = call('XRANGE', log, d.target, d.target)
    local fields = found[1] and ours(found[1])
    if not fields then
      return 2
    end
    local _, n = split(d.target)
    d.of = text(n)
    if not d.free and fields[AUTHOR] ~= d.author then
      return 3
    end
    if d.kind == 'edit' then
      d.edits, d.editIDs = editsOf(d.of)
      if d.edits >= MAX_EDITS then
        return 4
      end
    elseif d.kind == 'react' then
      local total
      d.reactions, total = reactionsOf(d.of)
      local before = #d.reactions
      d.changes, d.count = react(d)
      if d.changes and d.on then
        if before < #d.reactions and before >= MAX_KINDS then
          return 5
        elseif total >= MAX_REACTIONS or call('ZCARD', reacts) >= MAX_ROOM_REACTIONS then
          return 6
        end
      end
    end
    return 0
  end

  -- Removes the entries of a message's edits from the changes, and its state. With
  -- remember, their ids remain valid as cursors. Entries beyond the bound of the changes
  -- are gone already; least is the seq of the oldest that is not. Returns about how many
  -- things it removed.
  local least
  local function forget(of, remember)
    local edits, ids = editsOf(of)
    if edits > 0 then
      if not least then
        local first = call('XRANGE', changes, '-', '+', 'COUNT', 1)[1]
        least = first and select(2, split(first[1])) or math.huge
      end
      local _, last = split(string.match(ids, '[^,]*$'))
      for id in string.gmatch(last >= least and ids or '', '[^,]+') do
        local _, number = split(id)
        if number >= least and call('XDEL', changes, id) == 1 and remember then
          call('ZADD', gone, text(number), id)
        end
      end
    end
    call('HDEL', stand, 'e' .. of, 'r' .. of)
    local removed = call('ZREMRANGEBYSCORE', reacts, of, of)
    call('ZREM', marked, of)
    return edits + removed + 10
  end

  -- Carries out a change.
  local function apply(d, id)
    if d.kind == 'delete' then
      -- Its own entry is in the changes already, and stays there. So the newest entry is
      -- never a deleted one, and no seq is given twice.
      call('XDEL', log, d.target)
      call('ZADD', gone, d.of, d.target)
      forget(d.of, true)
      return
    end
    if d.kind == 'edit' then
      local ids = d.editIDs == '' and id or d.editIDs .. ',' .. id
      call('HSET', stand, 'e' .. d.of, stamp .. ' ' .. text(d.edits + 1) .. ' ' .. ids .. ' ' .. d.what)
    elseif d.kind == 'react' and d.changes then
      local member = d.of .. '|' .. d.what .. '|' .. d.author
      if d.on then
        call('ZADD', reacts, d.of, member)
      else
        call('ZREM', reacts, member)
      end
      local lines = {}
      for k, r in ipairs(d.reactions) do
        lines[k] = r.emoji .. ' ' .. text(r.count) .. ' ' .. r.users
      end
      if #lines > 0 then
        call('HSET', stand, 'r' .. d.of, table.concat(lines, '\n'))
      else
        call('HDEL', stand, 'r' .. d.of)
      end
    else
      return
    end
    call('ZADD', marked, d.of, d.of)
  end

  -- Forgets the state of messages that have left the log by its bound, a bounded part
  -- in each call: those before the oldest entry that chat wrote.
  local function prune()
    local from, count, n = '-', 1, nil -- the first is the usual one
    for _ = 0, pages do
      local found = call('XRANGE', log, from, '+', 'COUNT', count)
      for _, entry in ipairs(found) do
        from = entry[1]
        if ours(entry) then
          _, n = split(from)
          break
        end
      end
      if n or #found < count then
        break
      end
      count = 200
    end
    if not n then
      return
    end
    local work = 0
    for _, of in ipairs(call('ZRANGEBYSCORE', marked, '-inf', '(' .. text(n), 'LIMIT', 0, 200)) do
      work = work + forget(of, false)
      if work > PRUNED_AT_ONCE then
        return
      end
    end
  end

  -- Whether a stream holds the entry that a draft became before.
  local function holds(d)
    for _, stream in ipairs({ log, changes }) do
      local entry = call('XRANGE', stream, d.was, d.was)[1]
      local fields = entry and ours(entry)
      if fields and fields[AUTHOR] == d.author and fields[KEY] == d.key then
        return true
      end
    end
    return false
  end

  return judge, apply, prune, holds
end

local judge, apply, prune, holds
if changing or repeating then
  judge, apply, prune, holds = tools()
end

-- What is published of the new entries: five fields of each, and the JSON of each (see
-- line.lua).
local headers, bodies, added = {}, {}, 0
local reply, messages, changed, seen = {}, false, false, {}
local entered = {} -- what is added to the accepted keys
local begins = '{"id":"' .. stamp .. '-'
local middle = '","room":"' .. ARGV[4] .. '","time":' .. stamp .. ','
for k = 1, n do
  local d = drafts[k]
  local member, kind = d.member, d.kind
  local id, outcome = '', 0
  if seen[member] then
    id, outcome = seen[member], 1
  elseif d.was then
    id, outcome = d.was, holds(d) and 1 or 7
  elseif kind ~= '' then
    outcome = judge(d)
  end
  if outcome == 0 then
    seq = seq + 1
    local number = text(seq)
    id = stamp .. '-' .. number
    local m = begins .. number .. middle .. (d.count and '"count":' .. text(d.count) .. ',' or '') .. d.tail
    local author, key, target = d.author, d.key, d.target or ''
    if kind == '' then
      messages = true
      call('XADD', log, 'MAXLEN', ARGV[3], id, 'id', id, 'author', author, 'key', key, 'kind', '', 'target', '', 'json', m)
    else
      changed = true
      call('XADD', changes, 'MAXLEN', CHANGES_KEPT, id, 'id', id, 'author', author, 'key', key, 'kind', kind, 'target', target, 'json', m)
    end
    if n > 1 then
      seen[member] = id
    end
    added = added + 1
    entered[2 * added - 1], entered[2 * added] = member, id
    headers[added] = #id .. ':' .. id .. #author .. ':' .. author .. #key .. ':' .. key ..
      (kind == '' and '0:0:' or #kind .. ':' .. kind .. #target .. ':' .. target)
    bodies[added] = #m .. ':' .. m
    if kind ~= '' then
      apply(d, id)
    end
  end
  reply[3 * k - 2], reply[3 * k - 1], reply[3 * k] = member, id, outcome
end

if added > 0 then
  if since and now - since >= KEY_AGE and call('HLEN', taken) > KEYS_KEPT then
    redis.pcall('UNLINK', before)
    redis.pcall('RENAME', taken, before)
    since, older = nil, true
  end
  if not since or since > now then -- the first key, or Redis's clock went back
    entered[2 * added + 1] = 'since'
    entered[2 * added + 2] = format('%020.0f', now) .. (older and '+' or '-') .. string.rep('.', 60)
  end
  call('HSET', taken, unpack(entered))
  if changed then
    call('ZREMRANGEBYRANK', gone, 0, -1 - ARGV[3] - CHANGES_KEPT)
  end
  if messages and (changed or change ~= '') then
    -- The entries are written already: if this fails, the next call repeats it.
    pcall(function()
      if call('ZCARD', marked) > 0 and call('XLEN', log) >= tonumber(ARGV[3]) then
        if not prune then
          _, _, prune = tools()
        end
        prune()
      end
    end)
  end
  -- A node that has missed the live post finds this record.
  redis.pcall('XADD', KEYS[9], 'MAXLEN', '~', 256, '*', 'room', ARGV[4])
  -- First the id that the new entries follow, so that a node sees whether they
  -- continue its log. The log is written already, and live posts may be lost: so a failure
  -- to publish does not refuse the drafts.
  local h = added == 1 and headers[1] or table.concat(headers)
  redis.pcall(ARGV[2], ARGV[1], 'e' .. #head .. ':' .. head .. #h .. ':' .. h .. (added == 1 and bodies[1] or table.concat(bodies)))
elseif ARGV[5] == '1' then
  -- WAIT covers what its own connection wrote (from Redis 7.2 on, nothing but
  -- that), and these entries were written by others. So one key that was accepted
  -- before is written again; a refused draft has none.
  for k = 1, n do
    if drafts[k].was then
      local place = known[k + 1] and taken or before
      call('HDEL', place, drafts[k].member) -- first, since a full Redis allows it, and then the other
      call('HSET', place, drafts[k].member, drafts[k].was)
      break
    end
  end
end
return reply
