package room_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"example.com/chat/internal/protocol"
)

// joinedReply is the reply to a join, as far as these tests read it.
type joinedReply struct {
	Recovered bool `json:"recovered"`
	Messages  []struct {
		ID string `json:"id"`
	} `json:"messages"`
}

// visitor reads the lobby of a rig: each join is that of a new user, who leaves after the
// reply.
type visitor struct{ rig *rig }

// join joins as a new user with a cursor, leaves, and returns the reply.
func (v visitor) join(name string, after protocol.ID) (joinedReply, []byte) {
	v.rig.t.Helper()
	m, u := v.rig.enter(name)
	var body []byte
	if err := v.rig.hub.Join(v.rig.t.Context(), m, u, "lobby", cursor(after), func(e protocol.Event) { body = e.Body }); err != nil {
		v.rig.t.Fatal(err)
	}
	var j joinedReply
	if err := json.Unmarshal(body, &j); err != nil {
		v.rig.t.Fatal(err)
	}
	v.rig.hub.Leave(m, "lobby")
	v.rig.hub.Exit(m)
	return j, body
}

// history reads a page of the lobby's history.
func (v visitor) history(before protocol.Cursor, limit int) (list []protocol.Entry, more bool) {
	v.rig.t.Helper()
	err := v.rig.hub.History(v.rig.t.Context(), "lobby", before, limit, func(got []protocol.Entry, older bool) { list, more = slices.Clone(got), older })
	if err != nil {
		v.rig.t.Fatal(err)
	}
	return list, more
}

// verifyFresh checks that a join without a cursor returns the newest messages of the log
// as they stand.
func (v visitor) verifyFresh(t *testing.T, log []protocol.Entry) {
	t.Helper()
	_, body := v.join("fresh", newcomer)
	var list []protocol.Entry
	for _, s := range protocol.PageOf(log, protocol.ID{}, protocol.NewestCount).List {
		list = append(list, s.Stands())
	}
	want := protocol.Joined("lobby", log[len(log)-1].ID, false, list, false, nil, 0, nil).Body
	if want, _, _ := bytes.Cut(want, []byte(`,"members"`)); !bytes.HasPrefix(body, want) {
		t.Fatalf("joined with\n%s, want\n%s", body, want)
	}
}

// verifyRecovery checks that a join with a cursor returns the entries of the log after it.
func (v visitor) verifyRecovery(t *testing.T, name string, log []protocol.Entry, after protocol.ID) {
	t.Helper()
	j, body := v.join(name, after)
	var want, have []string
	for _, e := range log {
		if e.ID.Seq > after.Seq {
			want = append(want, e.ID.String())
		}
	}
	for _, e := range j.Messages {
		have = append(have, e.ID)
	}
	if !j.Recovered || !slices.Equal(have, want) {
		t.Fatalf("after %v: %v, recovered %v, want %v: %s", after, have, j.Recovered, want, body)
	}
}

// verifyHistory checks that the history before an id returns the messages of the log as
// they stand.
func (v visitor) verifyHistory(t *testing.T, log []protocol.Entry, before protocol.ID) {
	t.Helper()
	page, _ := v.history(cursor(before), 200)
	stand := protocol.PageOf(log, before, 200).List
	for n, e := range stand {
		if n >= len(page) || page[n].ID != e.ID || !bytes.Equal(page[n].Raw, e.Stands().Raw) {
			t.Fatalf("before %v: %d entries, without %s", before, len(page), e.Stands().Raw)
		}
	}
	if len(stand) != len(page) {
		t.Fatalf("before %v: %d entries, want %d", before, len(page), len(stand))
	}
}

// verifySeen sends messages, and checks that joins and history hold each, a pause after it is
// acknowledged.
func (v visitor) verifySeen(t *testing.T, m *fakeMember) {
	t.Helper()
	for i := range 20 {
		rec, err := v.rig.say(m)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(v.rig.pause)
		if i%2 == 0 {
			if j, body := v.join(fmt.Sprint("new-", i), newcomer); len(j.Messages) == 0 || j.Messages[len(j.Messages)-1].ID != rec.ID.String() {
				t.Errorf("joined without %v: %s", rec.ID, body)
			}
		} else if list, _ := v.history(cursor(newcomer), 5); len(list) == 0 || list[len(list)-1].ID != rec.ID {
			t.Errorf("the history lacks %v", rec.ID)
		}
	}
}
