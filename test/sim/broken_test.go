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
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/load"
	"example.com/chat/internal/membroker"
	chat "example.com/chat/internal/node"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// chatInMemory is a small chat over a broker in memory: two nodes, and four clients that
// send messages.
type chatInMemory struct {
	store *membroker.Store
	// faults are those of each node.
	faults [2]faultbroker.Faults
	// changes is the share of what clients send that changes messages.
	changes float64
	// readers is the time between the first clients of the nodes, so that the second node
	// has something to read.
	readers time.Duration
}

// memoryBroker is the broker of a node of such a chat. No other node is known to it. It
// implements only what nodes call here.
type memoryBroker struct {
	chat.Broker
	node    *membroker.Node
	faults  *faultbroker.Injector
	running atomic.Bool
}

func (b *memoryBroker) Room() room.Broker           { return b.faults.Broker(b.node.Room()) }
func (b *memoryBroker) Hurry()                      {}
func (b *memoryBroker) Leave(context.Context) error { return nil }

func (b *memoryBroker) Run(ctx context.Context, l cluster.Listener) {
	b.running.Store(true)
	b.node.Run(ctx, b.faults.Feed(l))
}

func (b *memoryBroker) Ready() error {
	if !b.running.Load() {
		return errors.New("it does not run yet")
	}
	return nil
}

// start starts one of the nodes.
func (c *chatInMemory) start(i int) *node {
	n := &node{id: fmt.Sprintf("n%d", i)}
	b := &memoryBroker{node: c.store.Join(n.id), faults: &faultbroker.Injector{}}
	b.faults.Set(c.faults[i])
	started, err := chat.Start(context.Background(), config(n.id, nil, slog.New(slog.DiscardHandler), func(context.Context, cluster.NodeInfo, func() cluster.Status) (chat.Broker, func(), error) {
		return b, func() {}, nil
	}))
	if err != nil {
		panic(err) // nothing can fail there
	}
	n.life = &life{n: n, chat: started, sessions: started.Sessions()}
	return n
}

// history runs the chat, and returns what its clients recorded: for talk, each of them
// sends something every so often.
func (c *chatInMemory) history(talk, every time.Duration) []check.Record {
	nodes := []*node{c.start(0), c.start(1)}
	fleet := load.NewFleet()
	for i := range 4 {
		if i%2 == 1 {
			time.Sleep(c.readers)
		}
		random := rand.New(rand.NewPCG(uint64(i), 7))
		fleet.Add(load.Config{
			Name: fmt.Sprintf("c%d", i+1), Rooms: []string{"lobby"}, Random: rand.New(rand.NewPCG(uint64(i), 8)),
			Every: every, Window: 4, Changes: c.changes,
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
	time.Sleep(10 * time.Second) // calls and data in transit end
	for _, e := range c.store.Entries("lobby") {
		var entry client.Entry
		if json.Unmarshal(e.Raw, &entry) == nil {
			fleet.History.Add(load.LogRecord(entry))
		}
	}
	return fleet.History.Records()
}

// brokenChat is a chat whose broker is broken in one way: on its way to the log, or for the
// second node alone.
type brokenChat struct {
	chatInMemory
	// delay is how long an append takes, so that there are batches.
	delay time.Duration

	mu    sync.Mutex // guards the fields below, and keeps the appends in one order
	calls int
	held  *protocol.Draft // of skipAhead
}

// oneIn reports true for one call in n. The caller holds the lock.
func (c *brokenChat) oneIn(n int) bool { c.calls++; return c.calls%n == 0 }

// appends breaks the appends of both nodes. broken runs under the lock.
func (c *brokenChat) appends(broken func(name string, drafts []protocol.Draft, do doAppend) ([]protocol.Receipt, error)) {
	for i := range c.faults {
		c.faults[i].Append = func(name string, drafts []protocol.Draft, do func([]protocol.Draft) ([]protocol.Receipt, error)) ([]protocol.Receipt, error) {
			time.Sleep(c.delay)
			c.mu.Lock()
			defer c.mu.Unlock()
			return broken(name, slices.Clone(drafts), do)
		}
	}
}

// doAppend carries out an append.
type doAppend = func([]protocol.Draft) ([]protocol.Receipt, error)

// whole carries out every append as it is.
func whole(_ string, drafts []protocol.Draft, do doAppend) ([]protocol.Receipt, error) {
	return do(drafts)
}

// lose acknowledges one draft in ten without an append.
func (c *brokenChat) lose(name string, drafts []protocol.Draft, do doAppend) ([]protocol.Receipt, error) {
	var kept []protocol.Draft
	lost := make([]bool, len(drafts))
	for i, d := range drafts {
		if lost[i] = c.oneIn(10); !lost[i] {
			kept = append(kept, d)
		}
	}
	receipts, err := do(kept)
	if err != nil {
		return nil, err
	}
	head := c.head(name)
	for i := range lost {
		if lost[i] {
			head.Seq++
			receipts = slices.Insert(receipts, i, protocol.Receipt{ID: head, Time: head.MS})
		}
	}
	return receipts, nil
}

func (c *brokenChat) head(name string) (id protocol.ID) {
	if list := c.store.Entries(name); len(list) > 0 {
		id = list[len(list)-1].ID
	}
	return id
}

// giveOtherIDs acknowledges one entry in ten under an id that is not its own.
func (c *brokenChat) giveOtherIDs(_ string, drafts []protocol.Draft, do doAppend) ([]protocol.Receipt, error) {
	receipts, err := do(drafts)
	for i := range receipts {
		if c.oneIn(10) {
			receipts[i].ID.MS++
		}
	}
	return receipts, err
}

// appendTwice appends the first draft of one call in ten once more.
func (c *brokenChat) appendTwice(_ string, drafts []protocol.Draft, do doAppend) ([]protocol.Receipt, error) {
	again := drafts[0]
	again.Key += " again" // the log judges by this, and the entry's JSON keeps the same key
	receipts, err := do(drafts)
	if err == nil && c.oneIn(10) {
		_, err = do([]protocol.Draft{again})
	}
	return receipts, err
}

// dropFromLog removes the last entry but one from the log after one call in ten.
func (c *brokenChat) dropFromLog(name string, drafts []protocol.Draft, do doAppend) ([]protocol.Receipt, error) {
	receipts, err := do(drafts)
	if c.oneIn(10) {
		c.store.Rewrite(name, func(list []protocol.Entry) []protocol.Entry {
			if n := len(list); n > 1 {
				return append(slices.Clone(list[:n-2]), list[n-1])
			}
			return list
		})
	}
	return receipts, err
}

// invent appends one draft in ten with another text.
func (c *brokenChat) invent(_ string, drafts []protocol.Draft, do doAppend) ([]protocol.Receipt, error) {
	for i := range drafts {
		if c.oneIn(10) {
			drafts[i].Tail = bytes.Replace(drafts[i].Tail, []byte(" says "), []byte(" sings "), 1)
		}
	}
	return do(drafts)
}

// reverse appends the drafts of a call in reverse order.
func reverse(_ string, drafts []protocol.Draft, do doAppend) ([]protocol.Receipt, error) {
	slices.Reverse(drafts)
	receipts, err := do(drafts)
	slices.Reverse(receipts)
	return receipts, err
}

// sameMS is the ms of all ids in a log whose ids skipAhead foretells.
const sameMS = 1_000_000

// skipAhead acknowledges the last draft of one call in ten under the id after the next one,
// without an append. It is appended behind the first draft of the next call, and has that
// id then.
func (c *brokenChat) skipAhead(name string, drafts []protocol.Draft, do doAppend) ([]protocol.Receipt, error) {
	behind := -1 // where the draft of an earlier call is
	if c.held != nil {
		behind = 1
		drafts = slices.Insert(drafts, behind, *c.held)
		c.held = nil
	} else if c.oneIn(10) {
		last := len(drafts) - 1
		c.held = &drafts[last]
		drafts = drafts[:last]
	}
	receipts, err := do(drafts)
	if err != nil {
		return nil, err
	}
	if behind >= 0 {
		receipts = slices.Delete(receipts, behind, behind+1)
	}
	if c.held != nil {
		receipts = append(receipts, protocol.Receipt{ID: protocol.ID{MS: sameMS, Seq: c.head(name).Seq + 2}, Time: sameMS})
	}
	return receipts, nil
}

// reads makes the second node receive nothing live, so that it has to read the log, and
// breaks what it reads of it.
func (c *brokenChat) reads(change func([]protocol.Entry) []protocol.Entry) {
	c.receives(func(faultbroker.Post) *faultbroker.Post { return nil }, change)
}

// receives breaks what the second node receives, live and of the log; a post of nil is
// lost. There are no changes of messages.
func (c *brokenChat) receives(live func(faultbroker.Post) *faultbroker.Post, change func([]protocol.Entry) []protocol.Entry) {
	second := &c.faults[1]
	second.Entries = func(p faultbroker.Post, deliver func(faultbroker.Post)) {
		if p := live(p); p != nil {
			deliver(*p)
		}
	}
	second.Read = func(list []protocol.Entry, more bool) ([]protocol.Entry, bool) {
		list = change(slices.Clone(list))
		return list, more && len(list) > 0
	}
	second.Page = func(page protocol.Page) protocol.Page {
		var list []protocol.Entry
		for _, s := range page.List {
			list = append(list, s.Entry)
		}
		list = change(list)
		page.List = nil
		for _, e := range list {
			page.Head = e
			page.List = append(page.List, protocol.Standing{Entry: e})
		}
		return page
	}
}

// withoutTenths removes each tenth entry, and withTenthsTwice repeats it.
func withoutTenths(list []protocol.Entry) []protocol.Entry {
	return slices.DeleteFunc(list, func(e protocol.Entry) bool { return e.ID.Seq%10 == 0 })
}

func withTenthsTwice(list []protocol.Entry) []protocol.Entry {
	for i := len(list) - 1; i > 0; i-- {
		if list[i].ID.Seq%10 == 0 {
			list = slices.Insert(list, i, list[i])
		}
	}
	return list
}

// firstFive removes all but the first five entries of the log.
func firstFive(list []protocol.Entry) []protocol.Entry {
	return slices.DeleteFunc(list, func(e protocol.Entry) bool { return e.ID.Seq > 5 })
}

// differing returns entries with another text.
func differing(list []protocol.Entry) []protocol.Entry {
	list = slices.Clone(list)
	for i := range list {
		list[i].Raw = bytes.ReplaceAll(list[i].Raw, []byte("c3 says"), []byte("c4 says"))
	}
	return list
}

// asSent removes all changes from the messages of a page.
func asSent(page protocol.Page) protocol.Page {
	for i, s := range page.List {
		page.List[i] = protocol.Standing{Entry: s.Entry}
	}
	return page
}

// brokers are the ways in which a broker is broken, each with the rule that finds it.
var brokers = []struct {
	name   string
	rule   check.Rule
	broken func(c *brokenChat)
}{
	{"whole", "", func(c *brokenChat) { c.appends(whole); c.changes = 0.5 }},
	{"entries are lost", check.RuleLost, func(c *brokenChat) { c.appends(c.lose) }},
	{"acknowledgements have other ids", check.RuleID, func(c *brokenChat) { c.appends(c.giveOtherIDs) }},
	{"keys are accepted twice", check.RuleTwice, func(c *brokenChat) { c.appends(c.appendTwice) }},
	{"the log loses entries", check.RuleLog, func(c *brokenChat) { c.appends(c.dropFromLog) }},
	{"reads skip entries", check.RuleHole, func(c *brokenChat) { c.appends(whole); c.reads(withoutTenths) }},
	{"reads repeat entries", check.RuleRepeat, func(c *brokenChat) { c.appends(whole); c.reads(withTenthsTwice) }},
	{"reads end early", check.RuleEnd, func(c *brokenChat) { c.appends(whole); c.reads(firstFive) }},
	{"nodes receive different entries", check.RuleDiffers, func(c *brokenChat) {
		c.appends(whole)
		c.receives(func(p faultbroker.Post) *faultbroker.Post { p.List = differing(p.List); return &p }, differing)
	}},
	{"messages are listed without their changes", check.RuleStands, func(c *brokenChat) {
		c.appends(whole)
		c.changes, c.readers, c.faults[1].Page = 0.5, 250*time.Millisecond, asSent
	}},
	{"texts are changed", check.RuleInvented, func(c *brokenChat) { c.appends(c.invent) }},
	{"batches are reversed", check.RuleOrder, func(c *brokenChat) { c.appends(reverse) }},
	{"ids contradict time", check.RuleTime, func(c *brokenChat) {
		c.appends(c.skipAhead)
		c.delay = 0 // else the next draft is sent before the acknowledgement
		c.store = membroker.New(membroker.Config{Clock: func(string, int64) int64 { return sameMS }})
	}},
}

// The checker accepts the history of a whole broker, and finds each way in which one is
// broken by the rule that names it.
func TestTheCheckerBites(t *testing.T) {
	for _, b := range brokers {
		t.Run(b.name, func(t *testing.T) {
			var list []check.Record
			synctest.Test(t, func(*testing.T) {
				c := &brokenChat{chatInMemory: chatInMemory{store: membroker.New(membroker.Config{})}, delay: 15 * time.Millisecond}
				b.broken(c)
				list = c.history(time.Second, 10*time.Millisecond)
			})
			report := check.Verify(list)
			if report.Acknowledged < 100 {
				t.Errorf("only %d messages were acknowledged", report.Acknowledged)
			}
			if b.rule == "" && !report.OK() {
				t.Errorf("a whole broker: %v", report.Violations)
			}
			if b.rule != "" && report.Found[b.rule] == 0 {
				t.Errorf("rule %s found nothing; the others: %v", b.rule, report.Violations)
			}
		})
	}
}
