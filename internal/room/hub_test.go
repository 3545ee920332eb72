package room_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/protocol"

	"example.com/chat/internal/chattest"
)

// What is published may be lost, late, twice or rubbish; members must not notice
// but by a little delay.
func TestFaultyPostsAreMadeGoodFromTheLog(t *testing.T) {
	t.Parallel()
	none := []published(nil)
	var kept published
	for name, fault := range map[string]func(n int, p published) []published{
		"each third is lost": func(n int, p published) []published { return map[bool][]published{true: none, false: {p}}[n%3 == 0] },
		"each comes twice":   func(_ int, p published) []published { return []published{p, p} },
		"two change their places": func(n int, p published) []published {
			if n%2 == 1 {
				kept = p
				return none
			}
			return []published{p, kept}
		},
		"rubbish before each": func(_ int, p published) []published {
			return []published{{doubt: true}, {}, {before: protocol.ID{MS: 5, Seq: 499}, list: []protocol.Entry{forged(protocol.ID{MS: 9999999, Seq: 500})}}, p}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			m, u := r.enter("ann")
			r.join(m, u, protocol.ID{})
			r.set(func() { r.fault = fault })
			r.other(100)
			m.got(t, count(1, 100))
		})
	}
}

// The last message before a silence has none after it that could show the hole:
// the audit finds it.
func TestALostLastPostIsFoundByTheAudit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, protocol.ID{})
	r.set(func() { r.fault = func(int, published) []published { return nil } })
	began := time.Now()
	r.other(1)
	m.got(t, count(1, 1))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	// What this node sent itself is missed much sooner.
	began = time.Now()
	if _, err := r.say(m); err != nil {
		t.Fatal(err)
	}
	m.got(t, count(1, 2))
	if took := time.Since(began); took > time.Second {
		t.Errorf("its own took %s", took)
	}
}

// A log is reported as moved once. If its comparison fails then, the next audit repeats it.
func TestAnAuditThatFailsIsRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, protocol.ID{})
	audits, reported, failed := 0, false, false
	r.set(func() {
		r.moved = func([]protocol.RoomHead) (names []string) {
			r.set(func() {
				audits++
				if r.headless && !reported {
					names, reported = []string{"lobby"}, true
					return
				}
				failed = failed || reported && r.headless
				r.headless = r.headless && !failed
			})
			return names
		}
	})
	chattest.Eventually(t, "the first audit, which compares all rooms", func() (ok bool) {
		r.set(func() { ok = audits > 0 })
		return ok
	})
	r.set(func() {
		r.fault = func(int, published) []published { return nil }
		r.headless = true
	})
	r.other(1)
	m.got(t, count(1, 1))
	r.set(func() {
		if !failed {
			t.Error("no comparison has failed")
		}
	})
}

func TestAWipedOrRolledBackLogIsTold(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *fakeBroker){
		"wiped": func(f *fakeBroker) { f.logs["lobby"], f.seqs["lobby"], f.keys = nil, 0, map[string]protocol.ID{} },
		"rolled back": func(f *fakeBroker) {
			f.logs["lobby"] = slices.Clone(f.logs["lobby"][:7])
			f.seqs["lobby"] = 7
		},
		"rolled back and gone on": func(f *fakeBroker) {
			f.logs["lobby"] = slices.Clone(f.logs["lobby"][:9])
			f.logs["lobby"] = append(f.logs["lobby"], forged(protocol.ID{MS: 99_999, Seq: 10}))
			f.seqs["lobby"] = 10
		},
		"trimmed past what was followed": func(f *fakeBroker) {
			f.logs["lobby"] = f.logs["lobby"][:0:0]
			f.logs["lobby"] = append(f.logs["lobby"], forged(protocol.ID{MS: 99_999, Seq: 50}))
			f.seqs["lobby"] = 50
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m, u := r.enter("ann")
			r.join(m, u, protocol.ID{})
			r.other(10)
			m.got(t, count(1, 10))
			r.set(func() { change(r.fakeBroker) })
			chattest.Eventually(t, "the reset", func() bool { s := m.seqs(); return s[len(s)-1] == -1 })
			var head int64
			r.set(func() { head = r.seqs["lobby"] })
			r.other(3)
			m.got(t, append(append(count(1, 10), -1), count(head+1, head+3)...))
		})
	}
}

// A log was emptied, and shortly after it once more: the second time its new
// entries came with seqs that the room had had, were put aside as old news,
// because such had made it read the log less than a second ago, and the next
// one passed for the continuation of what was gone.
func TestALogThatIsWipedTwiceIsToldTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, protocol.ID{})
	r.other(3)
	m.got(t, count(1, 3))
	for i := range 3 {
		had := len(m.seqs())
		r.set(func() { r.logs["lobby"], r.seqs["lobby"], r.base = nil, 0, int64(i+1)*1000 })
		r.other(int(m.last()) + 2) // the last of them would follow by its seq
		chattest.Eventually(t, "something new", func() bool { return len(m.seqs()) > had })
		if s := m.seqs()[had:]; s[0] != -1 {
			t.Fatalf("after the log was wiped for time %d, members were handed %v, and not a reset first", i+1, s)
		}
		var head int64
		r.set(func() { head = r.seqs["lobby"] })
		r.other(1)
		chattest.Eventually(t, "the room to go on", func() bool { return m.last() == head+1 })
	}
}

// A log was emptied and written anew while nothing published arrived; the first
// thing that does follows by its seq what members had, and not by the entry
// before it. Nor does an entry that somebody publishes who has no log.
func TestWhatFollowsByItsSeqAloneIsNotShown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, protocol.ID{})
	r.other(3)
	m.got(t, count(1, 3))
	for _, before := range []protocol.ID{{MS: 1002, Seq: 3}, {MS: 1003, Seq: 2}, {}} {
		r.deliver("lobby", published{before: before, list: []protocol.Entry{forged(protocol.ID{MS: 1004, Seq: 4})}})
	}
	r.deliver("lobby", published{before: protocol.ID{MS: 1003, Seq: 3}})
	r.deliver("lobby", published{doubt: true})
	r.other(1)
	m.got(t, count(1, 4))
	r.set(func() {
		r.logs["lobby"], r.seqs["lobby"], r.base = nil, 0, 1000
		r.fault = func(int, published) []published { return nil }
	})
	r.other(4)
	r.set(func() { r.fault = nil })
	r.other(1)
	m.got(t, append(count(1, 4), -1))
	r.other(1)
	m.got(t, append(count(1, 4), -1, 6))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		if bytes.Contains(e.Body, []byte(`"text":"other"`)) {
			t.Errorf("the member got %s", e.Body)
		}
	}
}

func TestAnAppendWithoutAnswerIsTriedAgainUnderItsKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, protocol.ID{})
	r.set(func() { r.lostOK = true })
	rec, err := r.say(m)
	if err != nil || rec.ID.Seq != 1 {
		t.Fatalf("%v %v", rec, err)
	}
	m.got(t, count(1, 1))
	r.set(func() { r.away = true })
	if _, err := r.sayKey(m, "kept"); err == nil || err.Code != protocol.CodeUnavailable {
		t.Fatalf("while Redis is away: %v", err)
	}
	r.set(func() { r.away = false })
	if rec, err := r.sayKey(m, "kept"); err != nil || rec.ID.Seq != 2 || rec.Duplicate {
		t.Fatalf("%v %v", rec, err)
	}
	m.got(t, count(1, 2))
}

// Between history and live there is no hole and nothing twice, whenever one
// joins.
func TestJoiningWhileMessagesFlowLeavesNoHole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, u := r.enter("first")
	r.join(first, u, protocol.ID{})
	stop := make(chan struct{})
	var flow sync.WaitGroup
	flow.Go(func() {
		for range 20_000 { // bounded: a machine that starves the joins shall not fill its memory
			select {
			case <-stop:
				return
			default:
				r.other(1)
			}
		}
	})
	const joiners = 50
	var members [joiners]*fakeMember
	for i := range members {
		m, u := r.enter(strings.Repeat("m", i+1))
		r.join(m, u, protocol.ID{MS: 1001, Seq: 1}) // which may not have been said yet
		members[i] = m
	}
	chattest.Eventually(t, "some messages", func() bool { return len(first.seqs()) > 500 })
	close(stop)
	flow.Wait()
	var last int64
	r.set(func() { last = r.seqs["lobby"] })
	chattest.Eventually(t, "the last message", func() bool { s := first.seqs(); return s[len(s)-1] == last })
	for i, m := range members {
		chattest.Eventually(t, "the last message", func() bool { return m.last() == last })
		next := int64(0)
		m.mu.Lock()
		for _, e := range m.events {
			switch e.Name {
			case "joined":
				// Every entry of the answer, then on from there.
				for part := range bytes.SplitSeq(e.Body, []byte(`"id":"`)) {
					if ms, rest, ok := bytes.Cut(part, []byte("-")); ok && len(ms) > 3 && len(ms) < 8 {
						seq, _, _ := bytes.Cut(rest, []byte(`"`))
						id, err := protocol.ParseID(string(ms) + "-" + string(seq))
						if err != nil {
							continue
						}
						if next != 0 && id.Seq != next {
							t.Fatalf("joiner %d: in joined %d follows %d", i, id.Seq, next-1)
						}
						next = id.Seq + 1
					}
				}
			case "message":
				id := idOf(e)
				if next != 0 && id.Seq != next {
					t.Fatalf("joiner %d: %d follows %d", i, id.Seq, next-1)
				}
				next = id.Seq + 1
			}
		}
		m.mu.Unlock()
	}
}

// A thousand who come back at once must not cost a read each.
func TestManyWhoComeBackCostFewReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, protocol.ID{})
	r.other(900)
	m.got(t, count(1, 900))
	again := newRigOn(t, r)
	var all sync.WaitGroup
	for i := range 1000 {
		m, u := again.enter("u" + strings.Repeat("x", i%7) + string(rune('a'+i%26)))
		all.Go(func() { again.join(m, u, protocol.ID{MS: 1001 + int64(i%800), Seq: 1 + int64(i%800)}) })
	}
	all.Wait()
	again.set(func() {
		if again.reads < 2 || again.reads > 10 {
			t.Errorf("1,000 joins cost %d reads", again.reads)
		}
	})
}

// A thousand who join without a cursor are answered from memory, whatever changed
// the room's messages.
func TestManyWhoAreNewCostNoReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, newcomer)
	r.other(80)
	for i := range 200 {
		d := protocol.Command{Type: protocol.React, Key: fmt.Sprint("r", i), Target: protocol.ID{MS: 1060, Seq: 60}, Emoji: "👍", On: i%2 == 1}
		if _, err := r.Append(t.Context(), "lobby", []protocol.Draft{d.Change(protocol.User{ID: "o"}, "o", false)}); err != nil {
			t.Fatal(err)
		}
	}
	m.got(t, count(1, 280))
	var before int
	r.set(func() { before = r.reads })
	for i := range 1000 {
		if j, body := r.joinedWith(fmt.Sprint("new-", i), newcomer); len(j.Messages) != protocol.NewestCount {
			t.Fatalf("joined with %s", body)
		}
	}
	if list, more := r.history(cursor(newcomer), 60); len(list) != 60 || !more {
		t.Errorf("the history has %d messages, more %v", len(list), more)
	}
	r.set(func() {
		if r.reads > before+1 { // the audit may have come
			t.Errorf("they cost %d reads", r.reads-before)
		}
	})
}

// What this node has acknowledged is in every later join and history, although what
// is published comes late.
func TestWhatIsAcknowledgedIsSeenByWhoComesAfter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, newcomer)
	for i := range 20 {
		var late published
		r.set(func() { r.fault = func(_ int, p published) []published { late = p; return nil } })
		rec, err := r.say(m)
		if err != nil {
			t.Fatal(err)
		}
		came := make(chan struct{})
		time.AfterFunc(5*time.Millisecond, func() { // as what is published may
			r.deliver("lobby", late)
			close(came)
		})
		if i%2 == 0 {
			if j, body := r.joinedWith(fmt.Sprint("new-", i), newcomer); len(j.Messages) == 0 || j.Messages[len(j.Messages)-1].ID != rec.ID.String() {
				t.Errorf("joined without %v: %s", rec.ID, body)
			}
		} else if list, _ := r.history(cursor(newcomer), 5); len(list) == 0 || list[len(list)-1].ID != rec.ID {
			t.Errorf("the history lacks %v", rec.ID)
		}
		<-came
	}
}

// forged is an entry that came into the log, or to the room, in another way.
func forged(id protocol.ID) protocol.Entry {
	return protocol.Message(protocol.User{ID: "f"}, "f", "other", "f").Entry(id, "lobby", 0)
}

// Redis is emptied, again and again, while clients return with old cursors: each gets
// an answer, and in the end the new log.
func TestRedisIsEmptiedWhileClientsReturn(t *testing.T) {
	t.Parallel()
	first := newRig(t)
	m, u := first.enter("ann")
	first.join(m, u, newcomer)
	first.other(900)
	m.got(t, count(1, 900))
	r := newRigOn(t, first)
	r.keys = first.keys
	var all sync.WaitGroup
	for i := range 20 {
		m, u := r.enter(fmt.Sprint("m", i))
		all.Go(func() {
			for j := range 50 {
				seq := int64(1 + (i*50+j)*13%900)
				r.join(m, u, protocol.ID{MS: 1000 + seq, Seq: seq})
				r.hub.Leave(m, "lobby")
			}
			r.join(m, u, newcomer)
		})
	}
	for i := range 20 {
		r.set(func() {
			r.logs, r.seqs, r.base = map[string][]protocol.Entry{}, map[string]int64{}, int64(i+1)*1e6
		})
		r.other(3)
		r.hub.Feed().Following("lobby")
	}
	all.Wait()
	r.other(1)
	last, lu := r.enter("last")
	r.join(last, lu, newcomer)
	chattest.Eventually(t, "the new log to be followed", func() bool {
		r.hub.Feed().Following("lobby")
		return last.last() == 4
	})
}

// newRigOn is another node on the same log.
func newRigOn(t *testing.T, r *rig) *rig {
	t.Helper()
	other := newRig(t)
	r.set(func() { other.logs, other.seqs, other.fakeBroker.keys = r.logs, r.seqs, r.fakeBroker.keys })
	return &rig{t: t, fakeBroker: other.fakeBroker}
}
