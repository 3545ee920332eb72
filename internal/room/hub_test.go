package room_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/protocol"
)

// Live posts may be lost, late, repeated or undecodable; members still get each entry
// once and in order.
func TestFaultyPostsAreMadeGoodFromTheLog(t *testing.T) {
	t.Parallel()
	type deliver = func(faultbroker.Post)
	for name, fault := range map[string]func(r *rig) func(p faultbroker.Post, deliver deliver){
		"each third is lost": func(*rig) func(faultbroker.Post, deliver) {
			n := 0
			return func(p faultbroker.Post, deliver deliver) {
				if n++; n%3 != 0 {
					deliver(p)
				}
			}
		},
		"each is repeated": func(*rig) func(faultbroker.Post, deliver) {
			return func(p faultbroker.Post, deliver deliver) { deliver(p); deliver(p) }
		},
		"two change their places": func(*rig) func(faultbroker.Post, deliver) {
			var held *faultbroker.Post
			return func(p faultbroker.Post, deliver deliver) {
				if held == nil {
					held = &p
					return
				}
				deliver(p)
				deliver(*held)
				held = nil
			}
		},
		"undecodable, empty and forged ones before each": func(r *rig) func(faultbroker.Post, deliver) {
			return func(p faultbroker.Post, deliver deliver) {
				r.hub.Feed().Doubt("lobby")
				deliver(faultbroker.Post{Room: "lobby"})
				deliver(faultbroker.Post{Room: "lobby", Before: protocol.ID{MS: 5, Seq: 499}, List: []protocol.Entry{forged(protocol.ID{MS: 9999999, Seq: 500})}})
				deliver(p)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			m, u := r.enter("ann")
			r.join(m, u, newcomer)
			r.inject(faultbroker.Faults{Entries: fault(r)})
			r.other(100)
			m.got(t, count(1, 100))
		})
	}
}

// No post after the last one before a silence could show that it was lost: the audit
// finds it.
func TestALostLastPostIsFoundByTheAudit(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		m, u := r.enter("ann")
		r.join(m, u, newcomer)
		r.dropPosts(all)
		began := time.Now()
		r.other(1)
		m.got(t, count(1, 1))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the audit took %s", took)
		}
		// A node misses its own entries much sooner.
		began = time.Now()
		if _, err := r.say(m); err != nil {
			t.Fatal(err)
		}
		m.got(t, count(1, 2))
		if took := time.Since(began); took > time.Second {
			t.Errorf("the read of the node's own entry took %s", took)
		}
	})
}

// A log is reported as moved once. If its comparison fails then, the next audit repeats it.
func TestAnAuditThatFailsIsRepeated(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		m, u := r.enter("ann")
		r.join(m, u, newcomer)
		chattest.Eventually(t, "the first audit, which compares all rooms", func() bool { return r.faults.Calls(faultbroker.Heads) > 0 })
		var reports, failures atomic.Int64
		r.inject(faultbroker.Faults{
			Entries: func(faultbroker.Post, func(faultbroker.Post)) {}, // all are lost
			Moved: func(names []string) []string {
				if len(names) > 0 && reports.Add(1) > 1 {
					return nil
				}
				return names
			},
			Call: func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
				if op == faultbroker.Heads && failures.Add(1) <= 2 {
					return errAway
				}
				return do(ctx)
			},
		})
		r.other(1)
		m.got(t, count(1, 1))
		if failures.Load() < 3 || reports.Load() < 2 {
			t.Errorf("%d comparisons, for a log that was reported %d times", failures.Load(), reports.Load())
		}
	})
}

func TestAWipedOrRolledBackLogIsReported(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(list []protocol.Entry) []protocol.Entry{
		"wiped":       func([]protocol.Entry) []protocol.Entry { return nil },
		"rolled back": func(list []protocol.Entry) []protocol.Entry { return list[:7] },
		"rolled back and continued": func(list []protocol.Entry) []protocol.Entry {
			return append(slices.Clone(list[:9]), forged(protocol.ID{MS: 99_999, Seq: 10}))
		},
		"trimmed past what was followed": func([]protocol.Entry) []protocol.Entry {
			return []protocol.Entry{forged(protocol.ID{MS: 99_999, Seq: 50})}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T) {
				r := newRig(t)
				m, u := r.enter("ann")
				r.join(m, u, newcomer)
				r.other(10)
				m.got(t, count(1, 10))
				r.rewrite(change)
				chattest.Eventually(t, "the reset", func() bool { s := m.seqs(); return s[len(s)-1] == -1 })
				head := r.headSeq()
				r.other(3)
				m.got(t, append(append(count(1, 10), -1), count(head+1, head+3)...))
			})
		})
	}
}

// A log is emptied, and shortly after it again. The new entries have seqs that the room
// had before: the second time they were dropped as repeated, because the room had read
// the log less than a second ago for the same reason, and a later one was delivered as
// the continuation of the lost log.
func TestALogThatIsWipedTwiceIsReportedTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, newcomer)
	r.other(3)
	m.got(t, count(1, 3))
	for i := range 3 {
		had := len(m.seqs())
		r.wipe(int64(i+1) * 1000)
		r.other(int(m.last()) + 2) // the last of them would follow by its seq
		chattest.Eventually(t, "something new", func() bool { return len(m.seqs()) > had })
		if s := m.seqs()[had:]; s[0] != -1 {
			t.Fatalf("wipe %d: the member got %v instead of a reset", i+1, s)
		}
		head := r.headSeq()
		r.other(1)
		chattest.Eventually(t, "the next entry", func() bool { return m.last() == head+1 })
	}
}

// A log is emptied and written anew while live posts are lost. The first one that arrives
// follows the head by its seq, and not by its predecessor: it is not delivered. Nor is a
// forged entry that the log does not hold. It runs in virtual time because an audit
// between the posts would find the new log earlier.
func TestWhatFollowsByItsSeqAloneIsNotShown(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		m, u := r.enter("ann")
		r.join(m, u, newcomer)
		r.other(3)
		m.got(t, count(1, 3))
		for _, before := range []protocol.ID{{MS: 1002, Seq: 3}, {MS: 1003, Seq: 2}, {}} {
			faultbroker.Post{Room: "lobby", Before: before, List: []protocol.Entry{forged(at(4))}}.Deliver(r.hub.Feed())
		}
		faultbroker.Post{Room: "lobby", Before: at(3)}.Deliver(r.hub.Feed())
		r.hub.Feed().Doubt("lobby")
		r.other(1)
		m.got(t, count(1, 4))
		r.wipe(1000)
		r.dropPosts(4)
		r.other(4)
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
	})
}

func TestAnAppendWithoutAnswerIsTriedAgainUnderItsKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, newcomer)
	r.loseReply()
	rec, err := r.say(m)
	if err != nil || rec.ID.Seq != 1 {
		t.Fatalf("%v %v", rec, err)
	}
	m.got(t, count(1, 1))
	r.failLogs()
	if _, err := r.sayKey(m, "kept"); err == nil || err.Code != protocol.CodeUnavailable {
		t.Fatalf("while Redis is away: %v", err)
	}
	r.heal()
	if rec, err := r.sayKey(m, "kept"); err != nil || rec.ID.Seq != 2 || rec.Duplicate {
		t.Fatalf("%v %v", rec, err)
	}
	m.got(t, count(1, 2))
}

// Between the reply to a join and the live entries after it, none is missing and none
// comes twice.
func TestJoiningWhileMessagesFlowLeavesNoHole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, u := r.enter("first")
	r.join(first, u, newcomer)
	stop := make(chan struct{})
	var flow sync.WaitGroup
	flow.Go(func() {
		for range 200 { // bounded: a machine that starves the joins shall not fill its memory
			select {
			case <-stop:
				return
			default:
				r.other(100)
				r.delivered(first) // so that the log does not outrun the room
			}
		}
	})
	const joiners = 50
	var members [joiners]*fakeMember
	for i := range members {
		m, u := r.enter(strings.Repeat("m", i+1))
		r.join(m, u, at(1)) // which may not be in the log yet
		members[i] = m
	}
	chattest.Eventually(t, "some messages", func() bool { return len(first.seqs()) > 500 })
	close(stop)
	flow.Wait()
	last := r.headSeq()
	chattest.Eventually(t, "the last message", func() bool { s := first.seqs(); return s[len(s)-1] == last })
	for i, m := range members {
		chattest.Eventually(t, "the last message", func() bool { return m.last() == last })
		m.verifyNoGap(t, i)
	}
}

// verifyNoGap checks that the seqs of the reply to a join, and of the messages after it,
// grow by 1 each.
func (m *fakeMember) verifyNoGap(t *testing.T, joiner int) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	next := int64(0)
	verify := func(id protocol.ID, where string) {
		if next != 0 && id.Seq != next {
			t.Fatalf("joiner %d, %s: %d follows %d", joiner, where, id.Seq, next-1)
		}
		next = id.Seq + 1
	}
	for _, e := range m.events {
		switch e.Name {
		case "joined":
			for part := range bytes.SplitSeq(e.Body, []byte(`"id":"`)) {
				if ms, rest, ok := bytes.Cut(part, []byte("-")); ok && len(ms) > 3 && len(ms) < 8 {
					seq, _, _ := bytes.Cut(rest, []byte(`"`))
					if id, err := protocol.ParseID(string(ms) + "-" + string(seq)); err == nil {
						verify(id, "joined")
					}
				}
			}
		case "message":
			verify(idOf(e), "message")
		}
	}
}

// A thousand clients that return at once do not cost a read each.
func TestManyWhoComeBackCostFewReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, newcomer)
	r.other(900)
	m.got(t, count(1, 900))
	again := newRigOn(t, r)
	again.inject(faultbroker.Faults{Call: func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
		if op == faultbroker.Before {
			time.Sleep(20 * time.Millisecond) // as long as Redis may take
		}
		return do(ctx)
	}})
	var joins sync.WaitGroup
	for i := range 1000 {
		m, u := again.enter("u" + strings.Repeat("x", i%7) + string(rune('a'+i%26)))
		joins.Go(func() { again.join(m, u, at(1+int64(i%800))) })
	}
	joins.Wait()
	if n := again.reads(); n < 2 || n > 10 {
		t.Errorf("1,000 joins cost %d reads", n)
	}
}

// A thousand joins without a cursor are answered from memory, whatever changed the
// room's messages.
func TestManyWhoAreNewCostNoReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, newcomer)
	r.other(80)
	for i := range 200 {
		d := protocol.Command{Type: protocol.React, Key: fmt.Sprint("r", i), Target: at(60), Emoji: "👍", On: i%2 == 1}
		r.put("lobby", d.Change(protocol.User{ID: "o"}, "o", false))
	}
	m.got(t, count(1, 280))
	before := r.reads()
	for i := range 1000 {
		if j, body := (visitor{r}).join(fmt.Sprint("new-", i), newcomer); len(j.Messages) != protocol.NewestCount {
			t.Fatalf("joined with %s", body)
		}
	}
	if list, more := (visitor{r}).history(cursor(newcomer), 60); len(list) != 60 || !more {
		t.Errorf("the history has %d messages, more %v", len(list), more)
	}
	if n := r.reads() - before; n > 1 { // the audit may have read
		t.Errorf("they cost %d reads", n)
	}
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
	var joins sync.WaitGroup
	for i := range 20 {
		m, u := r.enter(fmt.Sprint("m", i))
		joins.Go(func() {
			for j := range 50 {
				r.join(m, u, at(int64(1+(i*50+j)*13%900)))
				r.hub.Leave(m, "lobby")
			}
			r.join(m, u, newcomer)
		})
	}
	for i := range 20 {
		r.wipe(int64(i+1) * 1e6)
		r.other(3)
		r.hub.Feed().Following("lobby")
	}
	joins.Wait()
	r.other(1)
	last, lu := r.enter("last")
	r.join(last, lu, newcomer)
	chattest.Eventually(t, "the new log to be followed", func() bool {
		r.hub.Feed().Following("lobby")
		return last.last() == 4
	})
}
