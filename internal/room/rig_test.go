package room_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/membroker"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

var errAway = errors.New("redis is away")

// logOps are the calls that read or write logs.
var logOps = []faultbroker.Op{faultbroker.Append, faultbroker.Messages, faultbroker.Before, faultbroker.After, faultbroker.Heads, faultbroker.Moved}

// rig is the hub of one node, over a broker in memory. Injected faults concern this node
// alone; what others append arrives through them.
type rig struct {
	t      testing.TB
	store  *membroker.Store
	faults *faultbroker.Injector
	hub    *room.Hub
	// outside is the broker of a node without a hub.
	outside room.Broker
	// base is added to the ms of ids: with 0, the entry of seq n has the ms 1000+n.
	base  *atomic.Int64
	quiet bool          // see beQuiet
	pause time.Duration // see verifySeen
	// abandoned is set if the hub can't be closed any more.
	abandoned bool
	keys      int // that were given so far
}

// newRig returns a node on a log of its own.
func newRig(t testing.TB) *rig {
	t.Helper()
	base := &atomic.Int64{}
	store := membroker.New(membroker.Config{Clock: func(_ string, seq int64) int64 { return base.Load() + 1000 + seq }})
	return newRigOn(t, &rig{store: store, outside: store.Join("o").Room(), base: base})
}

// newRigOn returns another node on the same log.
func newRigOn(t testing.TB, first *rig) *rig {
	t.Helper()
	node := first.store.Join("n")
	r := &rig{t: t, store: first.store, faults: &faultbroker.Injector{}, outside: first.outside, base: first.base, keys: first.keys}
	r.hub = room.New(room.Config{Node: "n", Limits: protocol.Limits{Text: 100, Rooms: 10}}, r.faults.Broker(node.Room()))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { node.Run(ctx, r.faults.Feed(r.hub.Feed())) }) // ends with ctx; the test's end waits for it
	t.Cleanup(func() {
		if !r.abandoned {
			r.hub.Close(context.Background())
		}
		cancel()
		running.Wait()
	})
	chattest.Eventually(t, "the broker to be up", r.hub.Up)
	return r
}

// inVirtualTime runs a test whose subject is time, so that a busy machine does not
// matter.
func inVirtualTime(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// at is the id of the entry of a seq in the first log of a rig.
func at(seq int64) protocol.ID { return protocol.ID{MS: 1000 + seq, Seq: seq} }

// inject replaces the faults. Of a quiet rig they include those of beQuiet.
func (r *rig) inject(f faultbroker.Faults) {
	if call := f.Call; r.quiet {
		f.Call = func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
			switch {
			case op == faultbroker.Here:
				return nil
			case call != nil:
				return call(ctx, op, do)
			}
			return do(ctx)
		}
	}
	r.faults.Set(f)
}

// heal ends all faults but those of beQuiet.
func (r *rig) heal() { r.inject(faultbroker.Faults{}) }

// beQuiet ignores from now on what the hub writes about its users, so that members get
// no events of presence.
func (r *rig) beQuiet() {
	r.quiet = true
	r.heal()
}

// failLogs makes all calls that read or write logs fail.
func (r *rig) failLogs() {
	r.inject(faultbroker.Faults{Call: func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
		if slices.Contains(logOps, op) {
			return errAway
		}
		return do(ctx)
	}})
}

// dropPosts drops the next n live posts of entries.
func (r *rig) dropPosts(n int) {
	r.inject(faultbroker.Faults{Entries: func(p faultbroker.Post, deliver func(faultbroker.Post)) {
		if n--; n < 0 {
			deliver(p)
		}
	}})
}

// dropPublished drops everything that is published, and counts it.
func (r *rig) dropPublished() *atomic.Int64 {
	lost := &atomic.Int64{}
	r.inject(faultbroker.Faults{Publish: func(func()) { lost.Add(1) }})
	return lost
}

// all is for dropPosts: any number of posts.
const all = 1 << 30

// loseReply loses the reply of the next append.
func (r *rig) loseReply() {
	var lost atomic.Bool
	r.inject(faultbroker.Faults{Call: func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
		err := do(ctx)
		if op == faultbroker.Append && lost.CompareAndSwap(false, true) {
			return context.DeadlineExceeded
		}
		return err
	}})
}

// reads returns how many reads of logs there were.
func (r *rig) reads() int {
	return r.faults.Calls(faultbroker.Messages, faultbroker.Before, faultbroker.After, faultbroker.Heads)
}

// log returns the entries of the lobby's log.
func (r *rig) log() []protocol.Entry { return r.store.Entries("lobby") }

// headSeq returns the seq of the newest entry of the lobby's log; 0 for none.
func (r *rig) headSeq() int64 {
	if list := r.log(); len(list) > 0 {
		return list[len(list)-1].ID.Seq
	}
	return 0
}

// rewrite replaces the entries of the lobby's log by what edit makes of them.
func (r *rig) rewrite(edit func(list []protocol.Entry) []protocol.Entry) {
	r.store.Rewrite("lobby", edit)
}

// wipe empties the lobby's log. The ms of its entries are higher by base from now on.
func (r *rig) wipe(base int64) {
	r.base.Store(base)
	r.rewrite(func([]protocol.Entry) []protocol.Entry { return nil })
}

// fakeMember is a member that keeps its events.
type fakeMember struct {
	mu     sync.Mutex // guards the fields below
	events []protocol.Event
	list   []int64 // see seqs
}

func (m *fakeMember) Deliver(b *room.Broadcast) { m.take(b.Event) }
func (m *fakeMember) Expel(string)              {}

func (m *fakeMember) take(e protocol.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noteLocked(e)
}

func (m *fakeMember) noteLocked(e protocol.Event) {
	m.events = append(m.events, e)
	switch e.Name {
	case "message":
		m.list = append(m.list, idOf(e).Seq)
	case "reset":
		m.list = append(m.list, -1)
	}
}

// idOf returns the id of the entry in an event "message".
func idOf(e protocol.Event) protocol.ID {
	var fields struct{ ID string }
	if err := json.Unmarshal(e.Body, &fields); err != nil {
		panic(err)
	}
	id, err := protocol.ParseID(fields.ID)
	if err != nil {
		panic(err)
	}
	return id
}

// seqs returns the seqs of the messages so far; a reset is a -1.
func (m *fakeMember) seqs() []int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list[:len(m.list):len(m.list)]
}

// last returns the seq of the newest entry that the member knows of, by a message or by
// the reply to its join.
func (m *fakeMember) last() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range slices.Backward(m.events) {
		switch e.Name {
		case "message":
			id := idOf(e)
			return id.Seq
		case "joined":
			_, rest, _ := bytes.Cut(e.Body, []byte(`"head":"`))
			head, _, _ := bytes.Cut(rest, []byte(`"`))
			id, err := protocol.ParseID(string(head))
			if err != nil {
				return 0
			}
			return id.Seq
		}
	}
	return 0
}

// got waits until the messages are exactly these.
func (m *fakeMember) got(t *testing.T, want []int64) {
	t.Helper()
	chattest.Eventually(t, fmt.Sprintf("%d messages up to %d", len(want), want[len(want)-1]), func() bool {
		return slices.Equal(m.seqs(), want)
	})
}

func count(from, to int64) []int64 {
	var list []int64
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

func (r *rig) enter(name string) (*fakeMember, *room.User) {
	r.t.Helper()
	m := &fakeMember{}
	u, err := r.hub.Enter(r.t.Context(), m, protocol.NameClaim{User: name, Name: name})
	if err != nil {
		r.t.Fatal(err)
	}
	return m, u
}

// newcomer stands for no cursor where a function takes the id of one.
var newcomer protocol.ID

func cursor(after protocol.ID) protocol.Cursor {
	return protocol.Cursor{ID: after, Given: after != newcomer}
}

func (r *rig) join(m *fakeMember, u *room.User, after protocol.ID) {
	r.t.Helper()
	if err := r.hub.Join(r.t.Context(), m, u, "lobby", cursor(after), m.take); err != nil {
		r.t.Fatal(err)
	}
}

// say sends through the hub and waits for the receipt.
func (r *rig) say(m *fakeMember) (protocol.Receipt, *protocol.Error) {
	r.t.Helper()
	r.keys++
	return r.sayKey(m, strconv.Itoa(r.keys))
}

func (r *rig) sayKey(m *fakeMember, key string) (protocol.Receipt, *protocol.Error) {
	r.t.Helper()
	type outcome struct {
		r   protocol.Receipt
		err *protocol.Error
	}
	done := make(chan outcome, 1)
	r.hub.Send(m, "lobby", false, protocol.Message(protocol.User{ID: "u"}, key, "x", "n"), func(rec protocol.Receipt, err *protocol.Error) {
		done <- outcome{rec, err}
	})
	select {
	case o := <-done:
		return o.r, o.err
	case <-time.After(chattest.Patience):
		r.t.Fatal("no receipt")
		return protocol.Receipt{}, nil
	}
}

// put appends drafts to a room as another node, and returns the receipts.
func (r *rig) put(name string, drafts ...protocol.Draft) []protocol.Receipt {
	r.t.Helper()
	receipts, err := r.outside.Append(r.t.Context(), name, drafts)
	if err != nil {
		r.t.Fatal(err)
	}
	return receipts
}

// other appends n messages to the lobby as another node, each in a call of its own.
func (r *rig) other(n int) {
	r.t.Helper()
	for range n {
		r.keys++
		r.put("lobby", protocol.Message(protocol.User{ID: "o"}, strconv.Itoa(r.keys), "x", "o"))
	}
}

// forged returns an entry that reached the log, or the room, in another way.
func forged(id protocol.ID) protocol.Entry {
	return protocol.Message(protocol.User{ID: "f"}, "f", "other", "f").Entry(id, "lobby", 0)
}
