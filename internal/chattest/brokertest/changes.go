package brokertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/chat/internal/protocol"
)

func aDeletedMessageIsGoneWithItsEdits(t *testing.T, at *Site) {
	b := at.node(t, "n1", 100)
	first := b.put(t, draft("a", "1", "secret-one"), draft("b", "1", "stays"))
	m := first[0].ID
	edit := b.put(t, change(protocol.Edit, "a", "2", m, "secret-two"), change(protocol.React, "b", "2", m, ""))
	deleted := b.put(t, change(protocol.Delete, "a", "3", m, ""))[0]
	if deleted.Refused != nil || deleted.ID.Seq != 5 {
		t.Fatalf("the deletion has the receipt %+v", deleted)
	}
	if all := at.Dump(t); strings.Contains(all, "secret") || !strings.Contains(all, "stays") {
		t.Errorf("the deleted text is still stored: %s", all)
	}
	if list := b.all(t); ids(list) != "2 4 5" {
		t.Errorf("the log holds %s", ids(list))
	}
	// Deleted ids are valid cursors, and so is the beginning of the log.
	for _, c := range []struct {
		cursor protocol.ID
		want   string
	}{{protocol.ID{}, "2 4 5"}, {m, "2 4 5"}, {edit[0].ID, "4 5"}, {first[1].ID, "4 5"}} {
		list, found, _, err := b.After(t.Context(), "lobby", c.cursor, 50)
		if err != nil || !found || ids(list) != c.want {
			t.Errorf("after %v: %s, %v, %v", c.cursor, ids(list), found, err)
		}
	}
	if list, more, err := b.Before(t.Context(), "lobby", edit[0].ID, 50); err != nil || more || ids(list) != "2" {
		t.Errorf("before a deleted one: %s, %v", ids(list), err)
	}
	// A repeated deletion is a duplicate, and so is the deleted message when it is sent
	// again.
	if again := b.put(t, change(protocol.Delete, "a", "3", m, ""), draft("a", "1", "secret-one")); !again[0].Duplicate ||
		again[0].ID != deleted.ID || !again[1].Duplicate || !again[1].ID.IsZero() {
		t.Errorf("repeated: %+v", again)
	}
}

// A change of another user's message, or of none, makes no entry.
func onlyMessagesOfOnesOwnAreChanged(t *testing.T, at *Site) {
	b := at.node(t, "n1", 100)
	m := b.put(t, draft("a", `","user":{"id":"b",`, `","user":{"id":"b",`))[0].ID
	notes := b.put(t, change(protocol.Edit, "a", "e", m, "x"), change(protocol.React, "b", "r", m, ""))
	never := protocol.ID{MS: m.MS, Seq: 999}
	for i, c := range []struct {
		draft protocol.Draft
		want  *protocol.Error
	}{
		{change(protocol.Edit, "b", "1", m, "y"), protocol.ErrNotAuthor},
		{change(protocol.Delete, "b", "2", m, ""), protocol.ErrNotAuthor},
		{change(protocol.Delete, "a", "3", never, ""), protocol.ErrTargetGone},
		{change(protocol.Edit, "a", "4", notes[0].ID, "y"), protocol.ErrTargetGone},
		{change(protocol.Delete, "b", "5", notes[1].ID, ""), protocol.ErrTargetGone},
		{change(protocol.React, "b", "6", never, ""), protocol.ErrTargetGone},
	} {
		if r := b.put(t, c.draft)[0]; r.Refused != c.want || !r.ID.IsZero() || r.Duplicate {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if list := b.all(t); ids(list) != "1 2 3" {
		t.Errorf("the log holds %s", ids(list))
	}
	// All in one call, in order; a moderator may change any message.
	del := change(protocol.Delete, "m", "7", m, "")
	del.Moderator = true
	got := b.put(t, change(protocol.Edit, "a", "8", m, "z"), del, change(protocol.React, "a", "9", m, ""), change(protocol.Delete, "a", "10", m, ""), draft("a", "11", "on"))
	if got[0].Refused != nil || got[1].Refused != nil || got[2].Refused != protocol.ErrTargetGone || got[3].Refused != protocol.ErrTargetGone || got[4].ID.Seq != 6 {
		t.Errorf("one call: %+v", got)
	}
	if list := b.all(t); ids(list) != "3 5 6" {
		t.Errorf("the log holds %s", ids(list))
	}
}

// A deleted cursor is no longer valid once an entry after it that was not deleted has
// left the log; nor is it valid in another log.
func aDeletedCursorEndsWithWhatFollowsIt(t *testing.T, at *Site) {
	b := at.node(t, "n1", 10)
	m := b.put(t, draft("a", "1", "x"), draft("a", "2", "x"))
	b.put(t, change(protocol.Delete, "a", "d", m[0].ID, ""))
	for i := range 20 {
		b.put(t, draft("a", fmt.Sprint("more", i), "x"))
	}
	for _, cursor := range []protocol.ID{m[0].ID, {}} {
		if list, found, _, err := b.After(t.Context(), "lobby", cursor, 50); found || err != nil {
			t.Errorf("after %v: %s, %v", cursor, ids(list), err)
		}
	}
	last := b.put(t, draft("a", "last", "x"))[0].ID
	b.put(t, change(protocol.Delete, "a", "d2", last, ""))
	at.DeleteLog(t, "lobby")
	if list, found, _, err := b.After(t.Context(), "lobby", last, 50); found || err != nil {
		t.Errorf("without a log, after the deleted one: %s, %v", ids(list), err)
	}
	b.put(t, draft("a", "anew", "x"))
	if list, found, _, err := b.After(t.Context(), "lobby", last, 50); found || err != nil {
		t.Errorf("in another log, after the deleted one: %s, %v", ids(list), err)
	}
	for line := range strings.Lines(at.Dump(t)) {
		// Accepted keys outlive their log, and have the ids of their entries.
		if strings.Contains(line, last.String()) && !strings.Contains(line, ":keys:") {
			t.Errorf("the room still stores of another log: %s", line)
		}
	}
}

// The stored state of each message is the result of its entries.
func messagesStandAsTheirEntriesSay(t *testing.T, at *Site) {
	b := at.node(t, "n1", 100)
	m := b.put(t, draft("a", "1", "one"), draft("a", "2", `two },"text":"forged"`), draft("b", "3", "three"), draft("b", "4", "four"))
	b.put(t,
		change(protocol.Edit, "a", "5", m[0].ID, "first"), change(protocol.Edit, "a", "6", m[0].ID, "the \"first\" \\ \n"),
		change(protocol.Edit, "a", "7", m[1].ID, "second"),
		react("a", "8", m[0].ID, "🎉", true), react("b", "9", m[0].ID, "👍", true), react("c", "10", m[0].ID, "👍", true),
		react("b", "11", m[0].ID, "👍", true), // again: it changes nothing
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
		t.Errorf("the messages stand as\n%s\nwant\n%s", got, want)
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
		t.Errorf("before the third: %+v, %v", page, err)
	}
	if list, found, more, err := b.After(t.Context(), "lobby", protocol.ID{}, 500); err != nil || !found || more || ids(list) != ids(all) {
		t.Errorf("from the beginning: %s of %s, %v", ids(list), ids(all), err)
	}
	if list, more, err := b.Before(t.Context(), "lobby", all[9].ID, 4); err != nil || !more || ids(list) != ids(all[5:9]) {
		t.Errorf("before the tenth: %s, %v, %v", ids(list), more, err)
	}
}

// The newest changes are kept. A cursor older than these is no longer valid, although its
// message is in the log; messages stand as before.
func supersededChangesLeaveAGapThatIsTold(t *testing.T, at *Site) {
	b := at.node(t, "n1", 1000)
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
		t.Errorf("after the second: %d, %v, %v", len(list), found, err)
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
			t.Errorf("after %v: %d, %v, %v", c.cursor, len(list), found, err)
		}
	}
	if list, more, err := b.Before(t.Context(), "lobby", mid, 5000); err != nil || more || len(list) != 1999 {
		t.Errorf("before the third: %d, %v, %v", len(list), more, err)
	}
	if list, _, err := b.newest(t, 50); err != nil || ids(list) != "1 2 2203" {
		t.Errorf("the messages are %s, %v", ids(list), err)
	}
	// One of the two streams is deleted by hand. Without the log, the changes belong to
	// another one.
	at.DropChanges(t, "lobby")
	if list, found, _, err := b.After(t.Context(), "lobby", mid, 10); err != nil || !found || len(list) != 0 {
		t.Errorf("without changes, after the third: %s, %v, %v", ids(list), found, err)
	}
	batch(4000, 1)
	at.DeleteLog(t, "lobby")
	if heads, err := b.Heads(t.Context(), []string{"lobby"}); err != nil || !heads[0].IsZero() {
		t.Errorf("without the log the head is %v, %v", heads, err)
	}
	if _, found, _, err := b.After(t.Context(), "lobby", mid, 10); err != nil || found {
		t.Errorf("without the log the cursor is valid: %v, %v", found, err)
	}
	anew := b.put(t, draft("a", "anew", "x"))[0].ID
	if all := b.all(t); anew.Seq != 1 || ids(all) != "1" {
		t.Errorf("the log begins anew with %v and holds %s", anew, ids(all))
	}
	if got := b.stands(t); len(got) != 1 {
		t.Errorf("the messages stand as %s", got)
	}
}

// The edits of a message leave the log with it.
func editsLeaveWithTheirMessage(t *testing.T, at *Site) {
	b := at.node(t, "n1", 3)
	m := b.put(t, draft("a", "1", "one"))[0].ID
	edit := b.put(t, change(protocol.Edit, "a", "2", m, "old-secret"), react("b", "3", m, "👍", true))
	b.put(t, draft("a", "4", "x"), draft("a", "5", "x"))
	if got := b.stands(t); len(got) != 3 {
		t.Errorf("the messages stand as %s", got)
	}
	b.put(t, draft("a", "6", "x"))
	if all := at.Dump(t); strings.Contains(all, "old-secret") {
		t.Errorf("the text is still stored: %s", all)
	}
	for _, cursor := range []protocol.ID{m, edit[0].ID} {
		if _, found, _, err := b.After(t.Context(), "lobby", cursor, 10); err != nil || found {
			t.Errorf("after %v: %v %v", cursor, found, err)
		}
	}
	if list, found, _, err := b.After(t.Context(), "lobby", edit[1].ID, 10); err != nil || !found || ids(list) != "4 5 6" {
		t.Errorf("after the reaction: %s %v %v", ids(list), found, err)
	}
}
