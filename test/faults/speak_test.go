//go:build unix

package faults

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// burst sends messages through a new client, without waiting for acknowledgements, and
// returns when each is answered or the connection has ended. It records them for the checker.
func (r *rig) burst(n *node, name, room string, count, size int) {
	r.t.Helper()
	w := watch(r.t, n, client.Options{})
	w.join(room, "")
	user := w.me.User.ID
	record := func(rec check.Record) {
		rec.Client, rec.Conn, rec.Room, rec.User = name, 1, room, user
		r.fleet.History.Add(rec)
	}
	for i := range count {
		key, text := fmt.Sprintf("%s-%d", name, i), strings.Repeat("b", size)
		record(check.Record{Op: check.OpSend, Key: key, Text: text})
		if w.conn.Write(protocol.SendCommand{Room: room, Key: key, Text: text}) != nil {
			break
		}
	}
	seen, answered := 0, 0
	chattest.Eventually(r.t, "the answers to a burst", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for ; seen < len(w.events); seen++ {
			var e struct {
				Key, ID, Code string
				Duplicate     bool
			}
			if kind := w.events[seen].Type; kind != "sent" && kind != "error" || json.Unmarshal(w.events[seen].Raw, &e) != nil {
				continue
			}
			answered++
			op := check.OpSent
			if e.Code != "" {
				op = check.OpRefused
			}
			record(check.Record{Op: op, Key: e.Key, ID: e.ID, Code: e.Code, Duplicate: e.Duplicate})
		}
		return answered == count || w.ended != nil
	})
	w.conn.Close()
}

// byHand is an entry of a kind that no node of this version writes.
type byHand struct {
	room, kind, user, key, text string
}

// putByHand appends an entry and publishes it, as append.lua does.
const putByHand = `
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1]
local ms, seq = string.match(newest, '^(%d+)-(%d+)$')
local id = ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
local m = '{"id":"' .. id .. '","room":"' .. ARGV[2] .. '","time":' .. ms .. ',' .. ARGV[3]
redis.call('XADD', KEYS[1], id, 'id', id, 'author', ARGV[4], 'key', ARGV[5], 'kind', ARGV[6], 'target', '', 'json', m)
local function line(kind, fields)
  for _, field in ipairs(fields) do
    kind = kind .. #field .. ':' .. field
  end
  return kind
end
redis.call('PUBLISH', ARGV[1], line('e', { newest, line('', { id, ARGV[4], ARGV[5], ARGV[6], '' }), m }))
return id`

// put puts an entry of another kind into a room's log, and returns its id.
func (r *rig) put(logKey, liveKey string, e byHand) string {
	r.t.Helper()
	tail := fmt.Sprintf(`"kind":%q,"key":%q,"user":{"id":%q,"name":"Next"},"text":%q,"node":"next","more":{"of":[1,2,3]}}`, e.kind, e.key, e.user, e.text)
	r.byHand++
	r.fleet.History.Add(check.Record{
		Op: check.OpSend, Client: "next", Conn: 1, Room: e.room, User: e.user, Key: e.key, Text: e.text, Kind: e.kind,
	})
	id, ok := r.rdb.ask("EVAL", putByHand, 1, logKey, liveKey, e.room, tail, e.user, e.key, e.kind).(string)
	if !ok {
		r.t.Fatal("the entry was not appended")
	}
	return id
}

// since returns the time since a moment, in seconds.
func since(t time.Time) float64 { return time.Since(t).Seconds() }
