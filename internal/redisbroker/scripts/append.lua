-- Takes a batch of drafts into a room's log, each at most once.
--
-- KEYS: 1 to 4 as in room.lua, 5 the keys taken (sorted set of "USER|KEY", scored
--       by the ms of the entry), 6 who put which reaction (sorted set of
--       "SEQ|EMOJI|USER", scored by the seq of the message), 7 the seqs of the
--       messages that something is kept about in 4 and 6 (sorted set, scored by the
--       seq)
-- ARGV: 1 the live channel, 2 PUBLISH or SPUBLISH, 3 messages kept, 4 keys kept,
--       5 ms for which a key is kept, 6 the room's name, 7 whether WAIT follows
--       (1 or 0), 8 changes kept, 9 "EDITS KINDS REACTIONS ROOM USERS", the most
--       edits, emoji and reactions of a message, reactions of the room, and users that
--       a reaction lists; then for each draft: its author, its key, its kind ("" for a
--       message), its tail (see protocol.Draft), and where it is no message: its
--       target, whether that may be another's (1 or 0), its text or emoji, and
--       whether a reaction is put (1) or taken away (0)
-- Returns for each draft: "USER|KEY", the entry's id ("" where the room no longer
-- holds it), its ms, and 0 taken, 1 the key had been taken before, 2 its target is
-- no message of the log, 3 that is another's, 4 it was edited too often, 5 it has
-- too many emoji, 6 there are too many reactions.
--
-- A script that fails half-way is not rolled back (https://redis.io/docs/latest/
-- develop/programmability/eval-intro/), so whatever can fail comes before the
-- first write, and the seq is read from the streams themselves.

local taken, reacts, marked = KEYS[5], KEYS[6], KEYS[7]
local room = ARGV[6]

-- The newest entry of either stream, and what the next id must be above.
local head, ms, seq, _, logms, logseq = newest(log)
local change, cms, cseq, _, changems, changeseq = newest(changes)
if stale(head, change) then
  change, cseq, changems, changeseq = '', 0, 0, 0
end
if cseq > seq then
  head, ms, seq = change, cms, cseq
end

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
ms = math.max(ms, now, logms, changems)
if (ms == logms and seq + 1 <= logseq) or (ms == changems and seq + 1 <= changeseq) then
  ms = ms + 1 -- something by hand has a higher seq in this very ms
end
local stamp = text(ms)

-- The drafts, and of which kinds those are that were not taken before.
local drafts, changing, growing, repeating = {}, false, false, false
local i = 10
while i <= #ARGV do
  local d = { author = ARGV[i], key = ARGV[i + 1], kind = ARGV[i + 2], tail = ARGV[i + 3], target = '' }
  d.member = d.author .. '|' .. d.key
  i = i + 4
  if d.kind ~= '' then
    d.target, d.free, d.what, d.on = ARGV[i], ARGV[i + 1] == '1', ARGV[i + 2], ARGV[i + 3] == '1'
    i = i + 4
  end
  d.score = redis.call('ZSCORE', taken, d.member)
  if d.score then
    repeating = true
  else
    changing = changing or d.kind ~= ''
    growing = growing or d.kind ~= 'delete'
  end
  drafts[#drafts + 1] = d
end

local fresh = head == ''
if growing and (fresh or changing) then
  -- The first write of a script decides whether a full Redis refuses it: later
  -- ones pass. This one is refused by a full Redis, and else changes nothing.
  -- Deletions alone go without it: they make room. Where there are only messages,
  -- the first XADD is that write.
  redis.call('ZADD', taken, 'XX', 0, '')
end
if growing and fresh then
  -- The log begins anew: what is remembered was of another.
  redis.call('DEL', changes, gone, stand, reacts, marked)
end
if changing then
  -- What may not be done fails here: a key of another type, and what a Redis user
  -- of an older version may not call. Nothing is changed.
  redis.call('XDEL', log, '0-1')
  redis.call('XDEL', changes, '0-1')
  redis.call('HDEL', stand, '')
  redis.call('ZREM', reacts, '')
  redis.call('ZREMRANGEBYRANK', gone, 1, 0)
  redis.call('ZREM', marked, '')
end

-- What only changes and repeats need: made when the first one comes, since most
-- calls bring new messages alone.
local function tools()
  local maxEdits, maxKinds, maxReactions, maxRoomReactions, maxUsers = string.match(ARGV[9], '(%d+) (%d+) (%d+) (%d+) (%d+)')
  maxEdits, maxKinds, maxUsers = tonumber(maxEdits), tonumber(maxKinds), tonumber(maxUsers)
  maxReactions, maxRoomReactions = tonumber(maxReactions), tonumber(maxRoomReactions)

  -- The edits of a message: how many, the ids of their entries, and the ms of the
  -- last one, kept as "MS COUNT ID,ID,… TEXT".
  local function editsOf(of)
    local kept = redis.call('HGET', stand, 'e' .. of)
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
    for emoji, count, users in string.gmatch(redis.call('HGET', stand, 'r' .. of) or '', '(%S+) (%d+) ([^\n]*)') do
      list[#list + 1] = { emoji = emoji, count = tonumber(count), users = users }
      total = total + tonumber(count)
    end
    return list, total
  end

  -- Puts or takes away a reaction in the list of its message. Returns whether that
  -- changes anything, and how many users have put the emoji then.
  local function react(d)
    local at
    for k, r in ipairs(d.reactions) do
      if r.emoji == d.what then
        at = k
      end
    end
    local user = d.author
    local had = redis.call('ZSCORE', reacts, d.of .. '|' .. d.what .. '|' .. user)
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
    if d.on and #users < maxUsers then
      users[#users + 1] = user
    end
    r.count = r.count + (d.on and 1 or -1)
    r.users = table.concat(users, ',')
    if r.count <= 0 then
      table.remove(d.reactions, at)
    end
    return true, r.count
  end

  -- Whether a draft may change its target: 0, or what the reply says of it.
  local function judge(d)
    local found = redis.call('XRANGE', log, d.target, d.target)
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
      if d.edits >= maxEdits then
        return 4
      end
    elseif d.kind == 'react' then
      local total
      d.reactions, total = reactionsOf(d.of)
      local before = #d.reactions
      d.changes, d.count = react(d)
      if d.changes and d.on then
        if before < #d.reactions and before >= maxKinds then
          return 5
        elseif total >= maxReactions or redis.call('ZCARD', reacts) >= maxRoomReactions then
          return 6
        end
      end
    end
    return 0
  end

  -- Takes the entries of edits out of the changes, and forgets what the message has
  -- become. With remember, their ids stay good as cursors.
  local function forget(of, remember)
    local _, ids = editsOf(of)
    for id in string.gmatch(ids, '[^,]+') do
      if redis.call('XDEL', changes, id) == 1 and remember then
        local _, n = split(id)
        redis.call('ZADD', gone, text(n), id)
      end
    end
    redis.call('HDEL', stand, 'e' .. of, 'r' .. of)
    redis.call('ZREMRANGEBYSCORE', reacts, of, of)
    redis.call('ZREM', marked, of)
  end

  -- Does what an entry of the changes says.
  local function apply(d, id)
    if d.kind == 'delete' then
      -- The entry that tells of it stands in the changes already, and stays there:
      -- so the newest entry is never a deleted one, and no seq is given twice.
      redis.call('XDEL', log, d.target)
      redis.call('ZADD', gone, d.of, d.target)
      forget(d.of, true)
      return
    end
    if d.kind == 'edit' then
      local ids = d.editIDs == '' and id or d.editIDs .. ',' .. id
      redis.call('HSET', stand, 'e' .. d.of, stamp .. ' ' .. text(d.edits + 1) .. ' ' .. ids .. ' ' .. d.what)
    elseif d.kind == 'react' and d.changes then
      local member = d.of .. '|' .. d.what .. '|' .. d.author
      if d.on then
        redis.call('ZADD', reacts, d.of, member)
      else
        redis.call('ZREM', reacts, member)
      end
      local lines = {}
      for k, r in ipairs(d.reactions) do
        lines[k] = r.emoji .. ' ' .. text(r.count) .. ' ' .. r.users
      end
      if #lines > 0 then
        redis.call('HSET', stand, 'r' .. d.of, table.concat(lines, '\n'))
      else
        redis.call('HDEL', stand, 'r' .. d.of)
      end
    else
      return
    end
    redis.call('ZADD', marked, d.of, d.of)
  end

  -- Forgets what changed messages that have left the log by its bound, a bounded
  -- number a call.
  local function prune()
    local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)
    if not oldest[1] then
      return
    end
    local _, n = split(oldest[1][1])
    for _, of in ipairs(redis.call('ZRANGEBYSCORE', marked, '-inf', '(' .. text(n), 'LIMIT', 0, 200)) do
      forget(of, false)
    end
  end

  -- Where the entry of a draft is that was taken at this ms.
  local function find(d, at)
    for _, stream in ipairs({ log, changes }) do
      for _, entry in ipairs(redis.call('XRANGE', stream, at .. '-0', at .. '-18446744073709551615')) do
        local fields = ours(entry)
        if fields and fields[AUTHOR] == d.author and fields[KEY] == d.key then
          return entry[1]
        end
      end
    end
    return ''
  end

  return judge, apply, prune, find
end

local judge, apply, prune, find
if changing or repeating then
  judge, apply, prune, find = tools()
end

-- What is published of the new entries: five fields of each, and the JSON of each.
local headers, bodies = {}, {}
local reply, messages, changed, seen = {}, false, false, {}
for _, d in ipairs(drafts) do
  local id, at, outcome = '', stamp, 0
  if seen[d.member] then
    id, outcome = seen[d.member], 1
  elseif d.score then
    at, outcome = text(tonumber(d.score)), 1
    id = find(d, at)
  elseif d.kind ~= '' then
    outcome = judge(d)
  end
  if outcome == 0 then
    seq = seq + 1
    id = stamp .. '-' .. text(seq)
    local m = '{"id":"' .. id .. '","room":"' .. room .. '","time":' .. stamp ..
      (d.kind == 'react' and ',"count":' .. text(d.count) .. ',' or ',') .. d.tail
    local stream, most = log, ARGV[3]
    if d.kind == '' then
      messages = true
    else
      stream, most, changed = changes, ARGV[8], true
    end
    redis.call('XADD', stream, 'MAXLEN', most, id, 'id', id, 'author', d.author, 'key', d.key, 'kind', d.kind, 'target', d.target, 'json', m)
    redis.call('ZADD', taken, stamp, d.member)
    seen[d.member] = id
    for _, field in ipairs({ id, d.author, d.key, d.kind, d.target }) do
      headers[#headers + 1] = field
    end
    bodies[#bodies + 1] = m
    if d.kind ~= '' then
      apply(d, id)
    end
  end
  reply[#reply + 1] = d.member
  reply[#reply + 1] = id
  reply[#reply + 1] = at
  reply[#reply + 1] = outcome
end

if #bodies > 0 then
  local extra = redis.call('ZCARD', taken) - tonumber(ARGV[4])
  if extra > 0 then
    local edge = redis.call('ZRANGE', taken, extra, extra, 'WITHSCORES')
    local cut = math.min(tonumber(edge[2]), now - tonumber(ARGV[5]))
    redis.call('ZREMRANGEBYSCORE', taken, '-inf', '(' .. text(cut))
  end
  if changed then
    redis.call('ZREMRANGEBYRANK', gone, 0, -1 - ARGV[3] - ARGV[8])
  end
  if messages and (changed or change ~= '') and redis.call('ZCARD', marked) > 0 and redis.call('XLEN', log) >= tonumber(ARGV[3]) then
    if not prune then
      _, _, prune = tools()
    end
    pcall(prune) -- the entries stand already: what fails here is tried again by the next call
  end
  -- First the id that the new entries follow, so that a node sees whether they
  -- continue its log. The log is written already, and live posts may be lost: so a failure
  -- to publish does not refuse the drafts.
  redis.pcall(ARGV[2], ARGV[1], line('e', { head, line('', headers), unpack(bodies) }))
elseif ARGV[7] == '1' then
  -- WAIT covers what its own connection wrote (from Redis 7.2 on, nothing but
  -- that), and these entries were written by others: so one key is written anew,
  -- of a draft that had been taken before: a refused one has none.
  for i = 1, #reply, 4 do
    if reply[i + 3] == 1 then
      redis.call('ZREM', taken, reply[i]) -- first, as a full Redis allows it, and then the other
      redis.call('ZADD', taken, reply[i + 2], reply[i])
      break
    end
  end
end
return reply
