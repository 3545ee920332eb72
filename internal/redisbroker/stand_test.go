package redisbroker_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

func react(user, key string, target protocol.ID, emoji string, on bool) protocol.Draft {
	return protocol.Command{Type: protocol.React, Key: key, Target: target, Emoji: emoji, On: on}.Change(protocol.User{ID: user, Name: user}, "node", false)
}

// stands returns the lobby's messages as they stand, as JSON.
func (b *testBroker) stands(t *testing.T) (list []string) {
	t.Helper()
	page, err := b.Messages(t.Context(), "lobby", protocol.ID{}, 50)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range page.List {
		list = append(list, string(s.Stands().Raw))
	}
	return list
}

// Edits of a message that has left the log leave Redis with it.
func testEditsLeaveWithTheirMessage(t *testing.T, at *site) {
	b := open(t, at, "n1", 3)
	m := b.put(t, draft("a", "1", "one"))[0].ID
	edit := b.put(t, change(protocol.Edit, "a", "2", m, "old-secret"), react("b", "3", m, "👍", true))
	b.put(t, draft("a", "4", "x"), draft("a", "5", "x"))
	if got := b.stands(t); len(got) != 3 {
		t.Errorf("it shows %s", got)
	}
	b.put(t, draft("a", "6", "x"))
	if found, err := b.rdb.XRange(t.Context(), redisbroker.ChangesKey(b.ns, "lobby"), "-", "+").Result(); err != nil || len(found) != 1 {
		t.Errorf("the changes are %v, %v", found, err)
	}
	for _, cursor := range []protocol.ID{m, edit[0].ID} {
		if _, found, _, err := b.After(t.Context(), "lobby", cursor, 10); err != nil || found {
			t.Errorf("after %v: %v %v", cursor, found, err)
		}
	}
	if list, found, _, err := b.After(t.Context(), "lobby", edit[1].ID, 10); err != nil || !found || ids(list) != "4 5 6" {
		t.Errorf("after the reaction: %s %v %v", ids(list), found, err)
	}
	if left := b.find(t, ":{*}:*:lobby"); len(left) != 3 { // the log, the changes and the keys
		t.Errorf("there are %v", left)
	}
}

// A message is published, recorded and acknowledged although a key that only tidying needs
// has another type.
func testTidyingCannotFailAnAppend(t *testing.T, at *site) {
	b := open(t, at, "n1", 3)
	m := b.put(t, draft("a", "1", "one"))[0].ID
	b.put(t, change(protocol.Edit, "a", "2", m, "edited"))
	b.Follow("lobby")
	b.Has(t, "to follow", func() bool { return b.Heard.Following > 0 })
	marked := b.find(t, ":*:marked:lobby")
	moved := b.find(t, ":*:moved")
	if len(marked) != 1 || len(moved) != 1 {
		t.Fatalf("there are %v and %v", marked, moved)
	}
	if err := b.rdb.Set(t.Context(), marked[0], "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	before := b.rdb.XLen(t.Context(), moved[0]).Val()
	id := b.put(t, draft("a", "3", "x"))[0].ID
	if after := b.rdb.XLen(t.Context(), moved[0]).Val(); after != before+1 {
		t.Errorf("%d appends are recorded, then %d", before, after)
	}
	b.Has(t, "the message", func() bool {
		return slices.ContainsFunc(b.Heard.Entries, func(e protocol.Entry) bool { return e.ID == id })
	})
}

// An entry that somebody put in by hand before all others, with a higher seq, is not the
// oldest message: what is known about the messages after it stays.
func testAnEntryByHandRemovesNoEdits(t *testing.T, at *site) {
	b := open(t, at, "n1", 4)
	ahead := strconv.FormatInt(b.rdb.Time(t.Context()).Val().Add(time.Hour).UnixMilli(), 10)
	for _, id := range []string{"-500000", "-500001"} {
		if err := b.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: redisbroker.LogKey(b.ns, "lobby"), ID: ahead + id, Values: []any{"by", "hand"}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	m := b.put(t, draft("a", "1", "one"))[0].ID
	b.put(t, react("b", "2", m, "👍", true))
	b.put(t, draft("a", "3", "two"), change(protocol.Edit, "a", "4", m, "edited")) // now the log is full
	if got := b.stands(t); len(got) != 2 || !strings.Contains(got[0], "edited") || !strings.Contains(got[0], "👍") {
		t.Errorf("it shows %s", got)
	}
	b.put(t, change(protocol.Edit, "a", "5", m, "again"))
	if got := b.stands(t); len(got) != 2 || !strings.Contains(got[0], "again") {
		t.Errorf("then it shows %s", got)
	}
}
