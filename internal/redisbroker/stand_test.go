package redisbroker_test

import (
	"testing"

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
