package client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
)

// texts returns the texts of updates, and the names of the other kinds.
func texts(updates []Update) []string {
	list := make([]string, 0, len(updates))
	for _, u := range updates {
		list = append(list, map[Kind]string{KindEntry: u.Entry.Text, KindGap: "gap", KindReset: "reset", KindEnded: "ended"}[u.Kind])
	}
	return list
}

// entryOf returns the entry with a seq, whose text is that seq. Its id is of a log that
// began at base.
func entryOf(base, seq int64) Entry {
	var e Entry
	e.At = protocol.ID{MS: base, Seq: seq}
	e.ID, e.Text = e.At.Head(), fmt.Sprint(seq)
	return e
}

func entriesOf(base, from, to int64) (list []Entry) {
	for seq := from; seq <= to; seq++ {
		list = append(list, entryOf(base, seq))
	}
	return list
}

// newTimeline returns a timeline that has passed on all entries up to a seq.
func newTimeline(t *testing.T, seq int64) *timeline {
	t.Helper()
	l := &timeline{room: "lobby", newest: 2, anew: true}
	got := texts(l.resumed(protocol.JoinedEvent{}, entryOf(5, seq).At, entriesOf(5, 1, seq), time.Time{}))
	if want := numbers(max(1, int(seq)-1), int(seq)); !slices.Equal(got, want) || l.cursor() != protocol.At(entryOf(5, seq).At) {
		t.Fatalf("begins with %q at %v, want %q", got, l.cursor(), want)
	}
	return l
}

func TestWhatAJoinedSaysAboutTheCursor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		recovered bool
		head      Entry
		list      []Entry
		want      []string
	}{
		"all entries since":      {true, entryOf(5, 12), entriesOf(5, 11, 12), numbers(11, 12)},
		"known ones too":         {true, entryOf(5, 12), entriesOf(5, 8, 12), numbers(11, 12)},
		"nothing new":            {true, entryOf(5, 10), nil, nil},
		"a gap":                  {false, entryOf(5, 70), entriesOf(5, 69, 70), []string{"gap", "69", "70"}},
		"an overlap":             {false, entryOf(5, 11), entriesOf(5, 9, 11), []string{"gap", "11"}},
		"a shorter log":          {false, entryOf(9, 2), entriesOf(9, 1, 2), []string{"reset", "1", "2"}},
		"another log with ours":  {false, entryOf(9, 11), entriesOf(9, 10, 11), []string{"reset", "10", "11"}},
		"a log without messages": {false, Entry{}, nil, []string{"reset"}},
	} {
		l := newTimeline(t, 10)
		l.lost()
		got := texts(l.resumed(protocol.JoinedEvent{Recovered: test.recovered}, test.head.At, test.list, time.Time{}))
		if !slices.Equal(got, test.want) || l.cursor() != protocol.At(test.head.At) {
			t.Errorf("%s: %q at %v, want %q", name, got, l.cursor(), test.want)
		}
	}
}

func TestAHoleIsRequestedAndARepeatDropped(t *testing.T) {
	t.Parallel()
	l := newTimeline(t, 10)
	for _, test := range []struct {
		seq  int64
		want []string
		ask  bool
	}{{11, []string{"11"}, false}, {11, nil, false}, {9, nil, false}, {13, nil, true}, {12, []string{"12"}, false}, {13, []string{"13"}, false}} {
		updates, ask := l.next(entryOf(5, test.seq), time.Time{})
		if got := texts(updates); !slices.Equal(got, test.want) || ask != test.ask {
			t.Errorf("entry %d: %q, ask %t", test.seq, got, ask)
		}
	}
}

func TestOlderMessagesAreFilledIn(t *testing.T) {
	t.Parallel()
	l := &timeline{room: "lobby", newest: 120, anew: true}
	if got := l.resumed(protocol.JoinedEvent{}, entryOf(5, 400).At, entriesOf(5, 351, 400), time.Time{}); got != nil || !l.filling {
		t.Fatalf("%q, filling %t", texts(got), l.filling)
	}
	cmd, ok := l.page()
	if want := (protocol.HistoryCommand{Room: "lobby", Before: "5-351", Limit: 70}); !ok || cmd != want {
		t.Errorf("requests %+v, want %+v", cmd, want)
	}
	if updates, ask := l.next(entryOf(5, 401), time.Time{}); updates != nil || ask {
		t.Errorf("passed on %q, ask %t", texts(updates), ask)
	}
	if updates, again := l.fill(entriesOf(5, 321, 350), true); updates != nil || !again {
		t.Errorf("passed on %q, again %t", texts(updates), again)
	}
	updates, again := l.fill(entriesOf(5, 200, 325), true) // some of it twice, and too many
	if got := texts(updates); !slices.Equal(got, numbers(281, 401)) || again {
		t.Errorf("passed on %q, again %t", got, again)
	}
	if _, ok := l.page(); ok {
		t.Error("requests another page")
	}
}

func TestTheFillingIsBounded(t *testing.T) {
	t.Parallel()
	l := &timeline{room: "lobby", newest: 120, anew: true}
	l.resumed(protocol.JoinedEvent{}, entryOf(5, 400).At, entriesOf(5, 351, 400), time.Time{})
	for seq := int64(401); l.filling; seq++ {
		updates, _ := l.next(entryOf(5, seq), time.Time{})
		if kept := len(l.fresh); kept > maxFresh || !l.filling && !slices.Equal(texts(updates), numbers(351, int(seq))) {
			t.Fatalf("at entry %d: %d kept, %d passed on", seq, kept, len(updates))
		}
	}
}

func TestTheRestOfAJoinedEndsAtItsHead(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_764_000_000, 0)
	l := &timeline{room: "lobby", newest: 50, anew: true}
	j := protocol.JoinedEvent{More: true}
	if got := l.resumed(j, entryOf(5, 4).At, entriesOf(5, 1, 2), now); got != nil {
		t.Errorf("passed on %q before its head", texts(got))
	}
	if !l.restWithin(time.Second, now) || l.restWithin(time.Second, now.Add(time.Second)) {
		t.Error("the time since the newest entry is wrong")
	}
	if got, ask := l.next(entryOf(5, 3), now.Add(time.Second)); got != nil || ask || !l.restWithin(time.Second, now.Add(time.Second)) {
		t.Errorf("passed on %q before its head, ask %t", texts(got), ask)
	}
	if got, _ := l.next(entryOf(5, 4), now); !slices.Equal(texts(got), numbers(1, 4)) || l.more {
		t.Errorf("passed on %q, more %t", texts(got), l.more)
	}
	// Nothing more may arrive if head is the id of a change.
	l = &timeline{room: "lobby", newest: 50, anew: true}
	l.resumed(j, entryOf(5, 4).At, entriesOf(5, 1, 2), now)
	if got := l.complete(); !slices.Equal(texts(got), numbers(1, 2)) || l.cursor() != protocol.At(entryOf(5, 2).At) {
		t.Errorf("passed on %q, at %v", texts(got), l.cursor())
	}
}
