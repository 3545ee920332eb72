package room_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"

	"example.com/chat/internal/chattest"
)

var errAway = errors.New("redis is away")

// fakeBroker is a broker in memory whose live posts pass through a fault.
type fakeBroker struct {
	hub *room.Hub

	mu     sync.Mutex // guards the fields below
	logs   map[string][]protocol.Entry
	keys   map[string]protocol.ID
	gone   map[protocol.ID]bool
	seqs   map[string]int64
	base   int64 // added to the ms of ids
	away   bool
	reads  int
	posts  int
	heres  int                                        // calls of Here
	fault  func(n int, p published) []published       // returns which deliveries replace the n-th post
	lostOK bool                                       // the reply of the next append is lost
	rules  func(room string) map[string]protocol.Rule // nil for none
	// moved replaces what Moved returns, and headless makes Heads fail.
	moved    func(rooms []protocol.RoomHead) []string
	headless bool
}

// published is one live post: new entries and the one before them, or else something that
// can't be decoded.
type published struct {
	before protocol.ID
	list   []protocol.Entry
	doubt  bool
}

func (f *fakeBroker) deliver(name string, p published) {
	if p.doubt {
		f.hub.Feed().Doubt(name)
	} else {
		f.hub.Feed().Entries(name, p.before, p.list)
	}
}

// broker is the fake in all roles.
func (f *fakeBroker) broker() room.Broker {
	return room.Broker{Log: f, Subscriber: f, Presence: f, Names: f, Rulebook: f}
}

func newFake() *fakeBroker {
	return &fakeBroker{logs: map[string][]protocol.Entry{}, keys: map[string]protocol.ID{}, gone: map[protocol.ID]bool{}, seqs: map[string]int64{}}
}

func (f *fakeBroker) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeBroker) Append(_ context.Context, name string, drafts []protocol.Draft) ([]protocol.Receipt, error) {
	f.mu.Lock()
	if f.away {
		f.mu.Unlock()
		return nil, errAway
	}
	var receipts []protocol.Receipt
	var added []protocol.Entry
	before := protocol.ID{}
	if n := len(f.logs[name]); n > 0 {
		before = f.logs[name][n-1].ID
	}
	for _, d := range drafts {
		key := name + "|" + d.User + "|" + d.Key
		if id, ok := f.keys[key]; ok {
			receipts = append(receipts, protocol.Receipt{ID: id, Time: id.MS, Duplicate: true})
			continue
		}
		if d.Kind != "" && !slices.ContainsFunc(f.logs[name], func(e protocol.Entry) bool { return e.ID == d.Target }) {
			receipts = append(receipts, protocol.Receipt{Refused: protocol.ErrTargetGone})
			continue
		}
		f.seqs[name]++
		id := protocol.ID{MS: f.base + 1000 + f.seqs[name], Seq: f.seqs[name]}
		e := d.Entry(id, name, protocol.Reacted(f.logs[name], d))
		f.logs[name] = append(f.logs[name], e)
		f.keys[key] = id
		if d.Kind == protocol.Delete {
			f.logs[name] = slices.DeleteFunc(slices.Clone(f.logs[name]), func(e protocol.Entry) bool {
				f.gone[e.ID] = f.gone[e.ID] || e.ID == d.Target || e.Kind == protocol.Edit && e.Target == d.Target
				return f.gone[e.ID]
			})
		}
		added = append(added, e)
		receipts = append(receipts, protocol.Receipt{ID: id, Time: id.MS})
	}
	var out []published
	if len(added) > 0 {
		out = f.faultedLocked(published{before: before, list: added})
	}
	lost := f.lostOK
	f.lostOK = false
	f.mu.Unlock()
	for _, p := range out {
		f.deliver(name, p)
	}
	if lost {
		return nil, context.DeadlineExceeded
	}
	return receipts, nil
}

func (f *fakeBroker) faultedLocked(p published) []published {
	f.posts++
	if f.fault == nil {
		return []published{p}
	}
	return f.fault(f.posts, p)
}

func (f *fakeBroker) read(name string) ([]protocol.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.away {
		return nil, errAway
	}
	return slices.Clip(f.logs[name]), nil // entries are replaced in copies alone
}

// bySeq returns the index of the first entry whose seq is at least seq.
func bySeq(list []protocol.Entry, seq int64) int {
	return sort.Search(len(list), func(i int) bool { return list[i].ID.Seq >= seq })
}

func (f *fakeBroker) Messages(_ context.Context, name string, before protocol.ID, n int) (protocol.Page, error) {
	list, err := f.read(name)
	return protocol.PageOf(list, before, n), err
}

func (f *fakeBroker) Before(_ context.Context, name string, id protocol.ID, n int) ([]protocol.Entry, bool, error) {
	list, err := f.read(name)
	list = list[:bySeq(list, id.Seq)]
	from := max(0, len(list)-n)
	return list[from:], from > 0, err
}

func (f *fakeBroker) After(_ context.Context, name string, cursor protocol.ID, n int) ([]protocol.Entry, bool, bool, error) {
	list, err := f.read(name)
	if err != nil {
		return nil, false, false, err
	}
	f.mu.Lock()
	gone := f.gone[cursor]
	f.mu.Unlock()
	from := 0
	if cursor.IsZero() {
		if len(list) > 0 && list[0].ID.Seq != 1 {
			return nil, false, false, nil
		}
	} else {
		from = bySeq(list, cursor.Seq)
		if from < len(list) && list[from].ID == cursor {
			from++
		} else if !gone {
			return nil, false, false, nil
		}
	}
	list = list[from:]
	return list[:min(n, len(list))], true, len(list) > n, nil
}

func (f *fakeBroker) Heads(_ context.Context, rooms []string) ([]protocol.ID, error) {
	f.mu.Lock()
	headless := f.headless
	f.mu.Unlock()
	if headless {
		return nil, errAway
	}
	heads := make([]protocol.ID, len(rooms))
	for i, name := range rooms {
		list, err := f.read(name)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			heads[i] = list[len(list)-1].ID
		}
	}
	return heads, nil
}

func (f *fakeBroker) Moved(_ context.Context, rooms []protocol.RoomHead) (names []string, err error) {
	f.mu.Lock()
	moved := f.moved
	f.mu.Unlock()
	if moved != nil {
		return moved(rooms), nil
	}
	for _, r := range rooms {
		names = append(names, r.Room)
	}
	return names, nil
}

func (f *fakeBroker) Follow(name string) { go f.hub.Feed().Following(name) }
func (f *fakeBroker) Unfollow(string)    {}
func (f *fakeBroker) Instance() string   { return "n~1" }

func (f *fakeBroker) Typing(_ context.Context, name string, u protocol.User) error {
	f.hub.Feed().Typing(name, u)
	return nil
}

func (f *fakeBroker) Here(context.Context, string, string, []protocol.Change) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heres++
	return 0, nil
}
func (f *fakeBroker) Vacate(context.Context, string, string) error             { return nil }
func (f *fakeBroker) Present(context.Context, string) ([]protocol.User, error) { return nil, nil }

func (f *fakeBroker) Claim(_ context.Context, c protocol.NameClaim) (string, error) {
	return c.Name, nil
}
func (f *fakeBroker) Rename(_ context.Context, c protocol.NameClaim, _ string) (string, error) {
	return c.Name, nil
}
func (f *fakeBroker) Release(_ string, _ bool, done func(error)) { go done(nil) }
func (f *fakeBroker) Rules(_ context.Context, room string) (map[string]protocol.Rule, error) {
	f.mu.Lock()
	rules := f.rules
	f.mu.Unlock()
	if rules == nil {
		return nil, nil
	}
	return rules(room), nil
}
func (f *fakeBroker) Decide(context.Context, protocol.Decision) error { return nil }

// fakeMember keeps what it is handed.
type fakeMember struct {
	mu     sync.Mutex // guards the fields below
	events []protocol.Event
}

func (m *fakeMember) Deliver(b *room.Broadcast) { m.take(b.Event) }
func (m *fakeMember) Expel(string)              {}

func (m *fakeMember) take(e protocol.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
}

// idOf is the id of the entry that an event "message" holds.
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

// seqs are those of the messages so far; a reset is a -1.
func (m *fakeMember) seqs() []int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []int64
	for _, e := range m.events {
		switch e.Name {
		case "message":
			id := idOf(e)
			list = append(list, id.Seq)
		case "reset":
			list = append(list, -1)
		}
	}
	return list
}

// last is the seq of the newest entry that it knows of, by a message or by the
// answer to its join.
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

// got polls until the messages are exactly these.
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

// rig is a hub on a fake broker.
type rig struct {
	t testing.TB
	*fakeBroker
	keys int
}

func newRig(t testing.TB) *rig {
	t.Helper()
	f := newFake()
	f.hub = room.New(room.Config{Node: "n", Limits: protocol.Limits{Text: 100, Rooms: 10}}, f.broker())
	t.Cleanup(func() { f.hub.Close(context.Background()) })
	return &rig{t: t, fakeBroker: f}
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

// newcomer stands for no cursor where a test takes the id of one.
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

// other appends as another node, whose live posts pass through the fault too.
func (r *rig) other(n int) {
	r.t.Helper()
	for range n {
		r.keys++
		if _, err := r.Append(r.t.Context(), "lobby", []protocol.Draft{protocol.Message(protocol.User{ID: "o"}, strconv.Itoa(r.keys), "x", "o")}); err != nil {
			r.t.Fatal(err)
		}
	}
}
