package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/load"
	chat "example.com/chat/internal/node"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// memory is a log that all nodes share, as Redis is, in few lines, so that it
// can be broken in every way.
type memory struct {
	mu    sync.Mutex // guards the fields below
	log   []protocol.Entry
	keys  map[string]protocol.ID
	given map[int64]protocol.ID // by seq
	feeds [2]cluster.Listener   // by node; nil until it runs
	calls int

	sin      string
	changes  float64 // the share of what clients say that changes messages
	reserved *reservation
}

// reservation is a place in the log that is kept free for a later message.
type reservation struct {
	id    protocol.ID
	after protocol.Entry // what is published when the place is taken
}

// view is the memory as one node sees it: a room.Broker.
type memoryView struct {
	*memory
	node int
}

// broken reports whether this node is the one that a sin befalls, if it is the
// given one.
func (v memoryView) broken(sin string) bool { return v.sin == sin && v.node == 1 }

// every tells for one call in n.
func (m *memory) every(n int) bool { m.calls++; return m.calls%n == 0 }

func (v memoryView) Append(_ context.Context, name string, drafts []protocol.Draft) ([]protocol.Receipt, error) {
	if v.sin != "time" {
		time.Sleep(15 * time.Millisecond) // so that there are batches
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sin == "order" {
		drafts = slices.Clone(drafts)
		slices.Reverse(drafts)
	}
	var receipts []protocol.Receipt
	var added []protocol.Entry
	for _, d := range drafts {
		key := d.User + "|" + d.Key
		if id, ok := v.keys[key]; ok && v.sin != "twice" {
			receipts = append(receipts, protocol.Receipt{ID: id, Time: id.MS, Duplicate: true})
			continue
		}
		if d.Kind != "" && !slices.ContainsFunc(protocol.Stand(v.log), func(s protocol.Standing) bool { return s.ID == d.Target }) {
			receipts = append(receipts, protocol.Receipt{Refused: protocol.ErrTargetGone})
			continue
		}
		id, entries := v.enter(name, d)
		if d.Kind == protocol.Delete {
			v.erase(d.Target)
		}
		v.keys[key] = id
		added = append(added, entries...)
		switch {
		case v.sin == "id" && v.every(10):
			id.MS++
		case v.sin == "lost" && v.every(10):
			v.log = v.log[:len(v.log)-1]
			added = added[:len(added)-1]
		case v.sin == "log" && v.every(10):
			v.log = append(v.log[:len(v.log)-2:len(v.log)-2], v.log[len(v.log)-1])
		}
		receipts = append(receipts, protocol.Receipt{ID: id, Time: id.MS})
	}
	if v.sin == "order" {
		slices.Reverse(receipts)
	}
	if v.sin == "twice" && v.every(10) {
		_, entries := v.enter(name, drafts[0])
		added = append(added, entries...)
	}
	v.publish(name, added)
	return receipts, nil
}

// enter puts a draft into the log, and returns what is to be published.
func (v memoryView) enter(name string, d protocol.Draft) (protocol.ID, []protocol.Entry) {
	if v.sin == "invented" && v.every(10) {
		d.Tail = bytes.Replace(d.Tail, []byte(" says "), []byte(" sings "), 1)
	}
	if r := v.reserved; r != nil {
		// The place before the last is taken at last.
		v.reserved = nil
		e := d.Entry(r.id, name, protocol.Reacted(v.log, d))
		n := len(v.log)
		v.log = slices.Insert(v.log, n-1, e)
		return r.id, []protocol.Entry{e, r.after}
	}
	id := protocol.ID{MS: time.Now().UnixMilli(), Seq: 1}
	if n := len(v.log); n > 0 {
		id.Seq = v.log[n-1].ID.Seq + 1
	}
	if v.sin == "time" && v.every(10) {
		free := id
		v.given[id.Seq] = id
		id.Seq++
		v.given[id.Seq] = id
		e := d.Entry(id, name, protocol.Reacted(v.log, d))
		v.log = append(v.log, e)
		v.reserved = &reservation{id: free, after: e}
		return id, nil
	}
	v.given[id.Seq] = id
	e := d.Entry(id, name, protocol.Reacted(v.log, d))
	v.log = append(v.log, e)
	return id, []protocol.Entry{e}
}

// erase takes a message out of the log with its edits.
func (m *memory) erase(target protocol.ID) {
	m.log = slices.DeleteFunc(slices.Clone(m.log), func(e protocol.Entry) bool {
		return e.ID == target || e.Kind == protocol.Edit && e.Target == target
	})
}

func (m *memory) publish(name string, added []protocol.Entry) {
	if len(added) == 0 {
		return
	}
	before := m.given[added[0].ID.Seq-1]
	for i, feed := range m.feeds {
		switch {
		case i == 1 && m.sin == "end":
		case i == 1 && m.reads():
		case i == 1 && m.sin == "differs":
			feed.Entries(name, before, differing(added))
		default:
			feed.Entries(name, before, added)
		}
	}
}

// reads tells that the sin is one of reading: the node hears nothing live, so
// that it has to.
func (m *memory) reads() bool { return m.sin == "hole" || m.sin == "repeat" }

// read returns the log, as far as this node is let see it.
func (v memoryView) read() []protocol.Entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := slices.Clone(v.log)
	if v.reserved != nil {
		list = list[:len(list)-1]
	}
	switch {
	case v.broken("hole"):
		list = slices.DeleteFunc(list, func(e protocol.Entry) bool { return e.ID.Seq%10 == 0 })
	case v.broken("repeat"):
		for i := len(list) - 1; i > 0; i-- {
			if list[i].ID.Seq%10 == 0 {
				list = slices.Insert(list, i, list[i])
			}
		}
	case v.broken("end"):
		list = list[:min(len(list), 5)]
	case v.broken("differs"):
		list = differing(list)
	}
	return list
}

// differing returns entries with another text.
func differing(list []protocol.Entry) []protocol.Entry {
	list = slices.Clone(list)
	for i := range list {
		list[i].Raw = bytes.ReplaceAll(list[i].Raw, []byte("c3 says"), []byte("c4 says"))
	}
	return list
}

func (v memoryView) Messages(_ context.Context, _ string, before protocol.ID, n int) (protocol.Page, error) {
	page := protocol.PageOf(v.read(), before, n)
	if v.broken("stands") { // messages as they were said
		for i, s := range page.List {
			page.List[i] = protocol.Standing{Entry: s.Entry}
		}
	}
	return page, nil
}

func (v memoryView) Before(_ context.Context, _ string, id protocol.ID, n int) ([]protocol.Entry, bool, error) {
	list := slices.DeleteFunc(v.read(), func(e protocol.Entry) bool { return e.ID.Seq >= id.Seq })
	from := max(0, len(list)-n)
	return list[from:], from > 0, nil
}

func (v memoryView) After(_ context.Context, _ string, cursor protocol.ID, n int) ([]protocol.Entry, bool, bool, error) {
	list := v.read()
	list = slices.DeleteFunc(list, func(e protocol.Entry) bool { return e.ID.Seq <= cursor.Seq })
	return list[:min(n, len(list))], true, len(list) > n, nil
}

func (v memoryView) Heads(_ context.Context, names []string) ([]protocol.ID, error) {
	heads := make([]protocol.ID, len(names))
	if list := v.read(); len(list) > 0 {
		for i := range heads {
			heads[i] = list[len(list)-1].ID
		}
	}
	return heads, nil
}

func (v memoryView) Moved(_ context.Context, rooms []protocol.RoomHead) (names []string, err error) {
	for _, r := range rooms {
		names = append(names, r.Room)
	}
	return names, nil
}

func (v memoryView) Follow(name string)                                              { go v.feed().Following(name) }
func (v memoryView) Unfollow(string)                                                 {}
func (v memoryView) Instance() string                                                { return "n~1" }
func (v memoryView) Typing(context.Context, string, protocol.User) error             { return nil }
func (v memoryView) Vacate(context.Context, string, string) error                    { return nil }
func (v memoryView) Present(context.Context, string) ([]protocol.User, error)        { return nil, nil }
func (v memoryView) Release(_ string, _ bool, done func(error))                      { go done(nil) }
func (v memoryView) Rules(context.Context, string) (map[string]protocol.Rule, error) { return nil, nil }
func (v memoryView) Decide(context.Context, protocol.Decision) error                 { return nil }
func (v memoryView) Rename(_ context.Context, c protocol.NameClaim, _ string) (string, error) {
	return c.Name, nil
}
func (v memoryView) Claim(_ context.Context, c protocol.NameClaim) (string, error) {
	return c.Name, nil
}
func (v memoryView) Here(context.Context, string, string, []protocol.Change) (int, error) {
	return 0, nil
}

// feed is where this node hears what is published.
func (v memoryView) feed() cluster.Listener {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.feeds[v.node]
}

// memoryBroker is a memory as the broker of a node: there is nothing to wait for, and no
// other node is known. What is not here is never called.
type memoryBroker struct {
	chat.Broker
	view memoryView
	room room.Broker
}

func (b memoryBroker) Room() room.Broker           { return b.room }
func (b memoryBroker) Hurry()                      {}
func (b memoryBroker) Leave(context.Context) error { return nil }
func (b memoryBroker) Run(ctx context.Context, l cluster.Listener) {
	b.view.mu.Lock()
	b.view.feeds[b.view.node] = l
	b.view.mu.Unlock()
	l.Reachable(true)
	<-ctx.Done()
}

func (b memoryBroker) Ready() error {
	if b.view.feed() == nil {
		return errors.New("it does not run yet")
	}
	return nil
}

// broker is the memory in all roles.
func (v memoryView) broker() room.Broker {
	return room.Broker{Log: v, Subscriber: v, Presence: v, Names: v, Rulebook: v}
}

func newMemory() *memory {
	return &memory{keys: make(map[string]protocol.ID), given: make(map[int64]protocol.ID)}
}

// history runs a small chat over a memory, which its nodes see through view:
// for talk, its clients say something every so often.
func history(m *memory, view func(memoryView) room.Broker, talk, every time.Duration) []check.Record {
	var nodes []*node
	log := slog.New(slog.DiscardHandler)
	for i := range 2 {
		v := memoryView{m, i}
		n := &node{id: fmt.Sprintf("n%d", i)}
		started, err := chat.Start(context.Background(), config(n.id, nil, log, func(context.Context, cluster.NodeInfo, func() cluster.Status) (chat.Broker, func(), error) {
			return memoryBroker{view: v, room: view(v)}, func() {}, nil
		}))
		if err != nil {
			panic(err) // nothing can fail there
		}
		n.life = &life{n: n, chat: started, sessions: started.Sessions()}
		nodes = append(nodes, n)
	}
	fleet := load.NewFleet()
	for i := range 4 {
		if i%2 == 1 && m.sin == "stands" {
			time.Sleep(talk / 4) // so that there is something to read at the second node
		}
		random := rand.New(rand.NewPCG(uint64(i), 7))
		fleet.Add(load.Config{
			Name: fmt.Sprintf("c%d", i+1), Rooms: []string{"lobby"}, Random: rand.New(rand.NewPCG(uint64(i), 8)),
			Every: every, Window: 4, Changes: m.changes,
			Dial: func(ctx context.Context, token string, _ int) (load.Wire, error) {
				return nodes[i%2].connect(ctx, random, fmt.Sprintf("c%d", i+1), token)
			},
		})
	}
	time.Sleep(talk)
	for _, c := range fleet.Clients {
		c.Hush()
	}
	time.Sleep(10 * time.Second)
	for _, c := range fleet.Clients {
		c.End()
	}
	fleet.Close()
	for _, n := range nodes {
		n.life.chat.Close(0)
	}
	time.Sleep(10 * time.Second) // what is still under way arrives
	for _, e := range m.log {
		var entry client.Entry
		if json.Unmarshal(e.Raw, &entry) == nil {
			fleet.History.Add(load.LogRecord(entry))
		}
	}
	return fleet.History.Records()
}

// The checker is content with a broker that is whole, and finds each way in
// which one can be broken, by the rule that names it.
func TestTheCheckerBites(t *testing.T) {
	for _, c := range []struct {
		sin  string
		rule check.Rule
	}{
		{"", ""},
		{"lost", check.RuleLost},
		{"id", check.RuleID},
		{"twice", check.RuleTwice},
		{"log", check.RuleLog},
		{"hole", check.RuleHole},
		{"repeat", check.RuleRepeat},
		{"end", check.RuleEnd},
		{"differs", check.RuleDiffers},
		{"stands", check.RuleStands},
		{"invented", check.RuleInvented},
		{"order", check.RuleOrder},
		{"time", check.RuleTime},
	} {
		t.Run(strings.TrimPrefix("broken "+c.sin, " "), func(t *testing.T) {
			var list []check.Record
			synctest.Test(t, func(*testing.T) {
				m := newMemory()
				m.sin = c.sin
				if c.sin == "" || c.sin == "stands" {
					m.changes = 0.5
				}
				list = history(m, memoryView.broker, time.Second, 10*time.Millisecond)
			})
			report := check.Verify(list)
			if report.Acknowledged < 100 {
				t.Errorf("only %d messages were acknowledged", report.Acknowledged)
			}
			if c.sin == "" && !report.OK() {
				t.Errorf("a whole broker: %v", report.Violations)
			}
			if c.sin != "" && report.Found[c.rule] == 0 {
				t.Errorf("rule %s found nothing; the others: %v", c.rule, report.Violations)
			}
		})
	}
}
