package brokertest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"example.com/chat/internal/protocol"
)

func appendTakesEachKeyOnceInOrder(t *testing.T, at *Site) {
	b := at.node(t, "n1", 100)
	b.follow(t, "lobby")
	first, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "1", "x"), draft("a", "2", `"key":"1","user":{"id":"a",`), draft("a", "1", "again")})
	if err != nil {
		t.Fatal(err)
	}
	if first[0].ID.Seq != 1 || first[1].ID.Seq != 2 || first[0].Duplicate || !first[2].Duplicate || first[2].ID != first[0].ID {
		t.Errorf("receipts %+v", first)
	}
	again, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "2", "x"), draft("b", "2", "y"), draft("a", "1", "x")})
	if err != nil {
		t.Fatal(err)
	}
	if !again[0].Duplicate || again[0].ID != first[1].ID || again[1].Duplicate || again[1].ID.Seq != 3 || again[2].ID != first[0].ID ||
		again[2].Time != first[0].Time {
		t.Errorf("receipts %+v, first %+v", again, first)
	}
	b.Has(t, "the published entries", func() bool { return len(b.Live) == 2 })
	start := "lobby entries after 0-0\n" + `{"id":"` + first[0].ID.String() + `","room":"lobby","time":`
	if lines := strings.Count(b.Live[0], "\n"); lines != 2 || !strings.HasPrefix(b.Live[0], start) {
		t.Errorf("published %q", b.Live)
	}
	if !strings.HasPrefix(b.Live[1], "lobby entries after "+first[1].ID.String()+"\n") {
		t.Errorf("published %q, whose predecessor is not %s", b.Live[1], first[1].ID)
	}
	list, more, err := b.newest(t, 10)
	if err != nil || more || ids(list) != "1 2 3" || !strings.HasSuffix(b.Live[1], string(list[2].Raw)) {
		t.Errorf("%v %v %s", err, more, ids(list))
	}
}

// A published entry equals the one in the log in all fields, author, key, kind and target
// too, whatever the texts contain.
func whatIsPublishedIsWhatIsRead(t *testing.T, at *Site) {
	b := at.node(t, "n1", 100)
	b.follow(t, "lobby")
	const hard = "1:x \n\"|\\ },\"kind\":\"delete\",\"target\":\"1-1\" é😀"
	ann := protocol.User{ID: "ann", Name: hard}
	put := func(list ...protocol.Draft) []protocol.Receipt {
		t.Helper()
		got, err := b.Append(t.Context(), "lobby", list)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	said := put(protocol.Message(ann, hard, hard, "n"), protocol.Message(ann, "", "", "n"))
	for i, c := range []protocol.Command{
		{Type: protocol.Edit, Text: hard}, {Type: protocol.React, Emoji: "👍", On: true}, {Type: protocol.React, Emoji: "👍"},
	} {
		c.Key, c.Target = fmt.Sprint(hard, i), said[0].ID
		put(c.Change(ann, "n", false))
	}
	b.Has(t, "the published entries", func() bool { return len(b.Heard.Entries) == 5 })
	list, found, _, err := b.After(t.Context(), "lobby", protocol.ID{}, 10)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	if !reflect.DeepEqual(list, b.Heard.Entries) {
		t.Errorf("the log holds\n%+v, and published were\n%+v", list, b.Heard.Entries)
	}
	for i, e := range list {
		var fields struct {
			ID, Key, Kind, Target string
			User                  protocol.User
		}
		if err := json.Unmarshal(e.Raw, &fields); err != nil {
			t.Fatal(err)
		}
		target := ""
		if i > 1 {
			target = said[0].ID.String()
		}
		if e.ID.String() != fields.ID || e.Key != fields.Key || e.Kind != fields.Kind || e.Author != fields.User.ID || fields.Target != target || e.Target.IsZero() != (i < 2) {
			t.Errorf("%+v of %s", e, e.Raw)
		}
	}
	page, err := b.Messages(t.Context(), "lobby", protocol.ID{}, 10)
	if err != nil || !reflect.DeepEqual(page.Head, list[4]) || len(page.List) != 2 || !reflect.DeepEqual(page.List[0].Entry, list[0]) {
		t.Errorf("%v: the messages are %+v", err, page)
	}
	// Each is found by its key, in the log and among the changes.
	again := put(protocol.Message(ann, hard, "x", "n"), protocol.Command{Type: protocol.Edit, Key: hard + "0", Target: said[0].ID}.Change(ann, "n", false))
	if again[0].ID != list[0].ID || again[1].ID != list[2].ID || !again[1].Duplicate {
		t.Errorf("the same keys got %+v", again)
	}
}

func theLogIsCappedAndReadFromCursors(t *testing.T, at *Site) {
	b := at.node(t, "n1", 20)
	var all []protocol.ID
	for i := range 30 {
		r, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", strconv.Itoa(i), "x")})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r[0].ID)
	}
	list, more, err := b.newest(t, 5)
	if err != nil || !more || ids(list) != "26 27 28 29 30" {
		t.Errorf("newest: %v %v %s", err, more, ids(list))
	}
	list, more, err = b.Before(t.Context(), "lobby", all[13], 5)
	if err != nil || more || ids(list) != "11 12 13" {
		t.Errorf("before: %v %v %s", err, more, ids(list))
	}
	list, found, more, err := b.After(t.Context(), "lobby", all[26], 10)
	if err != nil || !found || more || ids(list) != "28 29 30" {
		t.Errorf("after: %v %v %v %s", err, found, more, ids(list))
	}
	list, found, more, err = b.After(t.Context(), "lobby", all[15], 3)
	if err != nil || !found || !more || ids(list) != "17 18 19" {
		t.Errorf("after, cut: %v %v %v %s", err, found, more, ids(list))
	}
	if list, found, _, err = b.After(t.Context(), "lobby", all[29], 3); err != nil || !found || len(list) != 0 {
		t.Errorf("after the last: %v %v %s", err, found, ids(list))
	}
	for _, gone := range []protocol.ID{all[2], {MS: 1, Seq: 25}, {MS: all[29].MS + 1, Seq: 31}} {
		if list, found, _, err = b.After(t.Context(), "lobby", gone, 3); err != nil || found || len(list) != 0 {
			t.Errorf("after %v: %v %v %s", gone, err, found, ids(list))
		}
	}
	if _, found, _, err = b.After(t.Context(), "lobby", protocol.ID{}, 3); err != nil || found {
		t.Errorf("from the start of a log that lost it: %v %v", err, found)
	}
	if _, found, _, err = b.After(t.Context(), "empty", protocol.ID{}, 3); err != nil || !found {
		t.Errorf("from the start of an empty log: %v %v", err, found)
	}
	heads, err := b.Heads(t.Context(), []string{"lobby", "empty"})
	if err != nil || heads[0] != all[29] || !heads[1].IsZero() {
		t.Errorf("heads %v %v", heads, err)
	}
	// The entry of an old key has left the log; the key is still known.
	r, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "0", "x")})
	if err != nil || !r[0].Duplicate || !r[0].ID.IsZero() || r[0].Time != all[0].MS {
		t.Errorf("an old key: %+v %v", r, err)
	}
}
