package redisbroker_test

import (
	"fmt"
	"slices"
	"testing"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

func react(user, key string, target protocol.ID, emoji string, on bool) protocol.Draft {
	return protocol.Command{Type: protocol.React, Key: key, Target: target, Emoji: emoji, On: on}.Change(protocol.User{ID: user, Name: user}, "node", false)
}

// stands are the messages of the lobby as they stand, by its own JSON.
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

// What the script keeps of each message is what its entries amount to.
func testMessagesStandAsTheirEntriesSay(t *testing.T, at *site) {
	b := open(t, at, "n1", 100)
	m := b.put(t, draft("a", "1", "one"), draft("a", "2", `two },"text":"forged"`), draft("b", "3", "three"), draft("b", "4", "four"))
	b.put(t,
		change(protocol.Edit, "a", "5", m[0].ID, "first"), change(protocol.Edit, "a", "6", m[0].ID, "the \"first\" \\ \n"),
		change(protocol.Edit, "a", "7", m[1].ID, "second"),
		react("a", "8", m[0].ID, "🎉", true), react("b", "9", m[0].ID, "👍", true), react("c", "10", m[0].ID, "👍", true),
		react("b", "11", m[0].ID, "👍", true), // once more: it changes nothing
		react("c", "12", m[0].ID, "👍", false), react("c", "13", m[0].ID, "👍", false),
		react("d", "14", m[2].ID, "👍", true), react("d", "15", m[2].ID, "👍", false),
		react("d", "16", m[3].ID, "👍", true), change(protocol.Delete, "b", "17", m[3].ID, ""),
	)
	for i := range 30 { // more than are listed
		b.put(t, react(fmt.Sprint("u", i), "k", m[1].ID, "👍", true))
	}
	b.put(t, react("u3", "k2", m[1].ID, "👍", false), react("u29", "k2", m[1].ID, "👍", false), react("u3", "k3", m[1].ID, "👍", true))
	all := b.all(t)
	var want []string
	for _, s := range protocol.Stand(all) {
		want = append(want, string(s.Stands().Raw))
	}
	if got := b.stands(t); !slices.Equal(got, want) || len(got) != 3 {
		t.Errorf("they stand as\n%s\nand should as\n%s", got, want)
	}
	page, err := b.Messages(t.Context(), "lobby", protocol.ID{}, 50)
	if err != nil || page.Head.ID != all[len(all)-1].ID || string(page.Head.Raw) != string(all[len(all)-1].Raw) || page.More {
		t.Errorf("the head is %s, %v", page.Head.Raw, err)
	}
	if r := page.List[1].Reactions; len(r) != 1 || r[0].Count != 29 || len(r[0].Users) != protocol.MaxReactionUsers {
		t.Errorf("the reactions are %+v", r)
	}
	if page, err := b.Messages(t.Context(), "lobby", m[2].ID, 1); err != nil || len(page.List) != 1 || page.List[0].ID != m[1].ID || !page.More ||
		string(page.List[0].Text) != `"second"` {
		t.Errorf("before the third comes %+v, %v", page, err)
	}
	if list, found, more, err := b.After(t.Context(), "lobby", protocol.ID{}, 500); err != nil || !found || more || ids(list) != ids(all) {
		t.Errorf("from the beginning come %s of %s, %v", ids(list), ids(all), err)
	}
	if list, more, err := b.Before(t.Context(), "lobby", all[9].ID, 4); err != nil || !more || ids(list) != ids(all[5:9]) {
		t.Errorf("before the tenth come %s, %v, %v", ids(list), more, err)
	}
}

// Of the changes the newest are kept: a cursor beyond them is not good any more,
// although its message is in the log, and messages stand as before.
func testSupersededChangesLeaveAGapThatIsTold(t *testing.T, at *site) {
	b := open(t, at, "n1", 1000)
	first := b.put(t, draft("a", "1", "one"), draft("a", "2", "two"))
	batch := func(from, n int) {
		t.Helper()
		var list []protocol.Draft
		for i := range n {
			list = append(list, react("a", fmt.Sprint("r", from+i), first[0].ID, "👍", i%2 == 0))
		}
		b.put(t, list...)
	}
	batch(0, 200)
	if list, found, _, err := b.After(t.Context(), "lobby", first[1].ID, 500); err != nil || !found || len(list) != 200 {
		t.Errorf("after the second come %d, %v, %v", len(list), found, err)
	}
	for from := 200; from < 2100; from += 200 {
		batch(from, 200)
	}
	mid := b.put(t, draft("a", "3", "three"))[0].ID
	batch(3000, 1)
	for _, c := range []struct {
		cursor protocol.ID
		found  bool
		n      int
	}{{protocol.ID{}, false, 0}, {first[0].ID, false, 0}, {first[1].ID, false, 0}, {mid, true, 1}} {
		list, found, _, err := b.After(t.Context(), "lobby", c.cursor, 3000)
		if err != nil || found != c.found || len(list) != c.n {
			t.Errorf("after %v come %d, %v, %v", c.cursor, len(list), found, err)
		}
	}
	if list, more, err := b.Before(t.Context(), "lobby", mid, 5000); err != nil || more || len(list) != 1999 {
		t.Errorf("before the third come %d, %v, %v", len(list), more, err)
	}
	if list, _, err := b.newest(t, "lobby", 50); err != nil || ids(list) != "1 2 2203" {
		t.Errorf("the messages are %s, %v", ids(list), err)
	}
	// Somebody deletes one of the two by hand. Without the log, the changes are of
	// another one.
	if err := b.rdb.XTrimMaxLen(t.Context(), redisbroker.ChangesKey(b.ns, "lobby"), 0).Err(); err != nil {
		t.Fatal(err)
	}
	if list, found, _, err := b.After(t.Context(), "lobby", mid, 10); err != nil || !found || len(list) != 0 {
		t.Errorf("without changes, after the third come %s, %v, %v", ids(list), found, err)
	}
	batch(4000, 1)
	if err := b.rdb.Del(t.Context(), redisbroker.LogKey(b.ns, "lobby")).Err(); err != nil {
		t.Fatal(err)
	}
	if heads, err := b.Heads(t.Context(), []string{"lobby"}); err != nil || !heads[0].IsZero() {
		t.Errorf("without the log the head is %v, %v", heads, err)
	}
	if _, found, _, err := b.After(t.Context(), "lobby", mid, 10); err != nil || found {
		t.Errorf("without the log the cursor is good: %v, %v", found, err)
	}
	anew := b.put(t, draft("a", "anew", "x"))[0].ID
	if all := b.all(t); anew.Seq != 1 || ids(all) != "1" {
		t.Errorf("the log begins anew with %v and holds %s", anew, ids(all))
	}
	if got := b.stands(t); len(got) != 1 {
		t.Errorf("it shows %s", got)
	}
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
