package redisbroker

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// decoded is a feed that encodes again what is delivered.
type decoded struct {
	room.Feed
	lines []string
	doubt int
}

func (d *decoded) Entries(_ string, before protocol.ID, list []protocol.Entry) {
	d.lines = append(d.lines, encodeEntries(before, list))
}
func (d *decoded) Presence(_ string, p protocol.PresenceDelta) {
	d.lines = append(d.lines, encodePresence(p))
}
func (d *decoded) Typing(_ string, u protocol.User) { d.lines = append(d.lines, encodeTyping(u)) }
func (d *decoded) Moderated(m protocol.Decision) {
	line, err := encodeDecision(m)
	if err != nil {
		panic(err)
	}
	d.lines = append(d.lines, line)
}
func (d *decoded) Renamed(mark string, u protocol.User) {
	d.lines = append(d.lines, encodeRename(mark, u))
}
func (d *decoded) Doubt(string) { d.doubt++ }

// entryOf returns the entry that a log makes of a user's message.
func entryOf(seq int64, key, text string) protocol.Entry {
	return protocol.Message(protocol.User{ID: "u", Name: "U"}, key, text, "n").Entry(protocol.ID{MS: 1000 + seq, Seq: seq}, "lobby", 0)
}

// lines returns lines of all kinds, with texts that are hard to encode.
func lines(t testing.TB) []string {
	const hard = "3:x\n\x00\"|\\ é😀"
	change := protocol.Command{Type: protocol.React, Key: hard, Target: protocol.ID{MS: 5, Seq: 1}, Emoji: "👍", On: true}.
		Change(protocol.User{ID: "u", Name: hard}, "n", false).Entry(protocol.ID{MS: 6, Seq: 2}, "lobby", 3)
	decision, err := encodeDecision(protocol.Decision{
		ModeratedEvent: protocol.ModeratedEvent{Action: protocol.Ban, User: &protocol.User{ID: "u", Name: hard}, Reason: hard},
		Field:          "ban|u", Rule: &protocol.Rule{Until: 5, Reason: hard},
	})
	if err != nil {
		t.Fatal(err)
	}
	u, v := protocol.User{ID: "u", Name: hard}, protocol.User{ID: "v"}
	return []string{
		encodeEntries(protocol.ID{}, []protocol.Entry{entryOf(1, hard, hard)}),
		encodeEntries(protocol.ID{MS: 5, Seq: 1}, []protocol.Entry{change, entryOf(3, "", "")}),
		encodePresence(protocol.PresenceDelta{Joined: []protocol.User{u, v}, Left: []protocol.User{v}, Count: 2}),
		encodePresence(protocol.PresenceDelta{}), encodeTyping(u), encodeRename(hard, u), encodeRename("", v), decision,
	}
}

// Lines that no node publishes are dropped, or reported as doubt where they may replace
// an entry.
func TestRubbishIsNoHint(t *testing.T) {
	t.Parallel()
	entry := encodeEntries(protocol.ID{MS: 1003, Seq: 3}, []protocol.Entry{entryOf(4, "k", "x")})
	with := func(raw string) string {
		return encodeEntries(protocol.ID{}, []protocol.Entry{{ID: protocol.ID{MS: 1, Seq: 1}, Raw: []byte(raw)}})
	}
	for line, doubt := range map[string]int{
		"": 0, "rubbish": 0, "n": 0, "x3:abc": 0, "{": 1, `{"id":"1004-4","room":"lobby","time":1004,"text":"forged"}`: 1,
		"e": 1, "e0:": 1, "e1003-3\n{}": 1, "e6:1003-3": 1, "e06:1003-3": 1, "e1:x0:0:0:0:0:2:{}": 1,
		"e99999999999999999999:": 1, "e-1:": 1, "e0:0:": 1, "e0:15:3:1-11:u1:k0:0:": 1, "e0:15:3:1-11:u1:k0:0:0:": 1, "e0:12:3:1-11:u1:k0:8:" + `{"id":1}`: 1, "e0:15:3:1-11:u1:k0:0:8:" + `{"id":1}0:`: 1, entry[:len(entry)-1]: 1, entry + "0:": 1, entry + "x": 1,
		with(""): 1, with("{}"): 1, with("{ }"): 1, with(`{"a":1`): 1, with(`["a"]`): 1, with(` {"a":1}`): 1, with(`{"a":1} `): 1, with(`{"a":1}{"a":1}`): 1,
		strings.Replace(entry, "6:1003-3", "7:01003-3", 1): 1, strings.Replace(entry, "6:1003-3", "3:0-0", 1): 1,
		"p": 1, "p1:x": 1, "p2:01": 1, "p2:+1": 1, "p1:11:+": 1, "p1:11:*1:a1:b": 1, "p1:11:+0:1:b": 1, "p1:11:-1:a1:a1:+1:b1:b": 1,
		"t": 0, "t0:0:": 0, "t1:u1:U1:x": 0, "m": 0, "m1:x": 0, "m2:{}0:": 0, "m2:[]": 0, "r1:m1:u1:U": 0,
		"e" + strings.Repeat("{", 5<<20): 0,
	} {
		var d decoded
		deliver(&d, "lobby", line)
		if d.doubt != doubt || len(d.lines) > 0 {
			t.Errorf("%.60q is delivered as %q, in doubt %d, want %d", line, d.lines, d.doubt, doubt)
		}
	}
	for _, line := range append([]string{"", "n", "r", "r1:m", "r1:m0:1:U", "r1:m1:u1:U0:", "m", "m1:x", "e", "{", "r" + strings.Repeat("{", 5<<20)}, lines(t)[:5]...) {
		var d decoded
		deliverNews(&d, line)
		if d.doubt > 0 || len(d.lines) > 0 {
			t.Errorf("in the news %.60q is delivered as %q", line, d.lines)
		}
	}
}

// A decision that was published in one room applies to that room, whatever it names.
func TestADecisionIsAboutTheRoomItIsPublishedIn(t *testing.T) {
	t.Parallel()
	line, err := encodeDecision(protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: protocol.Lock, Room: "other"}})
	if err != nil {
		t.Fatal(err)
	}
	var d decoded
	deliver(&d, "lobby", line)
	deliverNews(&d, line)
	if want := []string{strings.ReplaceAll(line, "other", "lobby"), `m49:{"action":"lock","by":{"id":"","name":""}}`}; len(d.lines) != 2 || d.lines[0] != want[0] || strings.Contains(d.lines[1], "room") {
		t.Errorf("it is delivered as %q", d.lines)
	}
}

// An entry of a stream has six fields, and its own id. Anything else was added by hand.
func TestAnEntryAddedByHandIsNoneOfOurs(t *testing.T) {
	t.Parallel()
	values := func() map[string]any {
		return map[string]any{"id": "5-1", "author": "u", "key": "k", "kind": "", "target": "", "json": "{}"}
	}
	if e, ok := DecodeEntry(redis.XMessage{ID: "5-1", Values: values()}); !ok || e.Author != "u" || e.Key != "k" || !e.IsMessage() {
		t.Errorf("%+v %v", e, ok)
	}
	if _, ok := DecodeEntry(redis.XMessage{ID: "5-2", Values: values()}); ok {
		t.Error("a copy of an entry under another id is one of ours")
	}
	for field := range values() {
		without, more := values(), values()
		delete(without, field)
		more["by"] = "hand"
		for _, v := range []map[string]any{without, more, nil} {
			if _, ok := DecodeEntry(redis.XMessage{ID: "5-1", Values: v}); ok {
				t.Errorf("%v is one of ours", v)
			}
		}
	}
}

// FuzzDecodeLine checks that any line is dropped, reported as doubt, or exactly what the
// encoder writes for the value that it is decoded to.
func FuzzDecodeLine(f *testing.F) {
	for _, line := range lines(f) {
		f.Add(line)
	}
	f.Add("e0:15:3:1-11:u1:k0:0:8:" + `{"id":1}`)
	f.Fuzz(func(t *testing.T, line string) {
		var d decoded
		deliver(&d, "lobby", line)
		if len(d.lines) == 0 {
			deliverNews(&d, line)
		}
		if len(d.lines) > 1 {
			t.Fatalf("%q is delivered as %q", line, d.lines)
		}
		if len(d.lines) == 1 && line[0] != lineDecision && d.lines[0] != line {
			t.Fatalf("%q is delivered as %q", line, d.lines[0])
		}
	})
}

// FuzzEncodeLine checks that all values are decoded as they were encoded.
func FuzzEncodeLine(f *testing.F) {
	f.Add("u", "k", "edit", "text", int64(1000), int64(1))
	f.Add("", "3:x\n\x00", "", "é😀\"", int64(0), int64(7))
	f.Fuzz(func(t *testing.T, user, key, kind, text string, ms, seq int64) {
		id := protocol.ID{MS: max(1, ms&(1<<46-1)), Seq: max(1, seq&(1<<46-1))}
		e := protocol.Message(protocol.User{ID: user, Name: text}, key, text, "n").Entry(id, "lobby", 0)
		e.Kind, e.Target = kind, protocol.ID{MS: id.Seq, Seq: id.MS}
		second := e
		second.Target = protocol.ID{}
		list := []protocol.Entry{e, second}
		before, got, ok := decodeEntries(encodeEntries(id, list)[1:])
		if !ok || before != id || !reflect.DeepEqual(got, list) {
			t.Fatalf("%+v becomes %v %+v", list, ok, got)
		}
		u, v := protocol.User{ID: "u" + user, Name: text}, protocol.User{ID: "v" + key, Name: kind}
		p := protocol.PresenceDelta{Joined: []protocol.User{u, v}, Left: []protocol.User{v}, Count: int(seq)}
		if got, ok := decodePresence(encodePresence(p)[1:]); !ok || !reflect.DeepEqual(got, p) {
			t.Fatalf("%+v becomes %v %+v", p, ok, got)
		}
		if got, ok := decodeTyping(encodeTyping(u)[1:]); !ok || got != u {
			t.Fatalf("%+v becomes %v %+v", u, ok, got)
		}
		if mark, got, ok := decodeRename(encodeRename(key, u)[1:]); !ok || mark != key || got != u {
			t.Fatalf("%+v becomes %v %q %+v", u, ok, mark, got)
		}
		d := protocol.Decision{
			ModeratedEvent: protocol.ModeratedEvent{Action: kind, User: &u, Until: ms, By: v, Reason: text}, Field: key, Rule: &protocol.Rule{Until: seq, Reason: text},
		}
		line, err := encodeDecision(d)
		if err != nil {
			t.Fatal(err)
		}
		again, ok := decodeDecision(line[1:])
		if !ok {
			t.Fatalf("%q is not decoded", line)
		}
		// JSON replaces invalid UTF-8, once.
		twice, err := encodeDecision(again)
		if err != nil || twice != line && !strings.Contains(line, `\ufffd`) {
			t.Fatalf("%q becomes %q (%v)", line, twice, err)
		}
	})
}

// Each line is decoded to the value that was encoded.
func TestLinesAreDeliveredAsTheyWereEncoded(t *testing.T) {
	t.Parallel()
	for _, line := range lines(t) {
		var room, news decoded
		deliver(&room, "lobby", line)
		deliverNews(&news, line)
		if all := slices.Concat(room.lines, news.lines); !slices.Contains(all, line) && line[0] != lineDecision || len(all) == 0 || room.doubt > 0 {
			t.Errorf("%q is delivered as %q", line, all)
		}
	}
}
