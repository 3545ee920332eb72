//go:build unix

package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/load"
	"example.com/chat/internal/protocol"
)

// Sizes of a chat.
const (
	nodes   = 3
	talkers = 9
	every   = 100 * time.Millisecond // between two messages of one client
	changes = 0.15                   // the share of them that edits, deletes or reacts
	// settledIn is how long after the last fault clients may receive entries.
	settledIn = 40 * time.Second
	// leastSaid is how many messages must be acknowledged for a test to be of use.
	leastSaid = 50
)

// setup configures a rig; zero fields get their default.
type setup struct {
	redis   []string // further arguments of redis-server
	node    []string // further arguments of all nodes
	proxied int      // how many nodes, from the first one, reach Redis through a proxy
	// program returns the program of a node, its environment and its first arguments.
	program func(i int) (path string, env, before []string)
	talkers int
	alone   bool        // no other fault is injected at the same time
	load    load.Config // for all talkers; Name, Dial, History and Random are set; Changes -1 is none
	// rooms returns the rooms of the i-th talker; nil for the default.
	rooms func(i int) []string
	// urls returns the nodes that talkers connect to; nil for all.
	urls func() []string
}

// rig is a chat of real processes, and clients that send messages.
type rig struct {
	t        *testing.T
	fault    fault
	random   chance // the test's own
	redis    *redistest.Server
	rdb      operator
	nodes    []*node
	parent   *node // the process that started the nodes; nil if the test started them
	fleet    *load.Fleet
	history  *history
	injected int
	byHand   int      // entries without an acknowledgement
	seen     []string // for the table

	talked time.Duration // when the clients stopped sending, since began; 0 before
}

// newRig starts a chat for one fault, and clients that send messages. It skips the test if
// this run does not include the fault.
func newRig(t *testing.T, f fault, s setup) *rig {
	t.Helper()
	choose(t, f)
	if !s.alone {
		t.Parallel()
	}
	r := &rig{t: t, fault: f, random: newChance(f)}
	path := chattest.Build(t)
	r.redis = redistest.Start(t, s.redis...)
	r.rdb = operator{redis.NewClient(&redis.Options{Addr: r.redis.Addr, Protocol: 2}), t}
	t.Cleanup(func() { _ = r.rdb.Close() })
	for i := range nodes {
		n := &node{t: t, id: fmt.Sprintf("n%d", i+1), path: path}
		addr := r.redis.Addr
		if i < s.proxied {
			n.proxy = startProxy(t, addr)
			addr = n.proxy.addr()
		}
		var before []string
		if s.program != nil {
			n.path, n.env, before = s.program(i)
		}
		n.args = append(before, "--redis="+addr, "--addr=127.0.0.1:0", "--rate=0", "--node-id="+n.id)
		n.args = append(n.args, s.node...)
		r.nodes = append(r.nodes, n)
		n.start()
	}
	r.talk(s)
	t.Cleanup(r.tell)
	r.flow(leastSaid)
	return r
}

// talk starts the clients.
func (r *rig) talk(s setup) {
	r.fleet = load.NewFleet()
	r.history = &history{History: r.fleet.History, began: time.Now()}
	r.t.Cleanup(r.fleet.Close)
	count := talkers
	if s.talkers > 0 {
		count = s.talkers
	}
	for i := range count {
		cfg := s.load
		cfg.Name = fmt.Sprintf("c%d", i+1)
		if s.rooms != nil {
			cfg.Rooms = s.rooms(i)
		} else if cfg.Rooms == nil {
			cfg.Rooms = []string{"lobby"}
			if i%3 == 0 {
				cfg.Rooms = []string{"lobby", "side"}
			}
		}
		if cfg.Every == 0 {
			cfg.Every = every
		}
		if cfg.Window == 0 {
			cfg.Window = 1 + i%3
		}
		if cfg.Changes == 0 {
			cfg.Changes = changes
		}
		cfg.Random = r.random.fork()
		urls := s.urls
		if urls == nil {
			urls = r.urls
		}
		cfg.Dial = spread(i, urls, load.Dialer(r.random.fork(), urls, client.Timing{}))
		r.fleet.Add(cfg)
	}
}

// spread connects the i-th client to the node of its turn first, so that each node has
// clients, and to random ones after that.
func spread(i int, urls func() []string, then dialer) dialer {
	first := load.Dialer(nil, func() []string {
		list := urls()
		if len(list) == 0 {
			return nil
		}
		return list[i%len(list):][:1]
	}, client.Timing{})
	return func(ctx context.Context, token string, try int) (load.Wire, error) {
		if token == "" {
			return first(ctx, token, 1) // which draws nothing
		}
		return then(ctx, token, try)
	}
}

type dialer = func(ctx context.Context, token string, try int) (load.Wire, error)

// talker is a further client, at any node.
func (r *rig) talker(name string, rooms ...string) load.Config {
	return load.Config{Name: name, Rooms: rooms, Random: r.random.fork(), Dial: load.Dialer(r.random.fork(), r.urls, client.Timing{})}
}

// pin adds a client that only receives, at one node, however long that is silent.
func (r *rig) pin(n *node, name string, rooms ...string) {
	cfg := r.talker(name, rooms...)
	cfg.Dial = load.Dialer(r.random.fork(), func() []string { return []string{n.address()} }, client.Timing{Gone: time.Minute})
	r.fleet.Add(cfg)
}

// urls returns those of all nodes, dead or alive, as clients can't know that.
func (r *rig) urls() []string {
	var list []string
	for _, n := range r.nodes {
		list = append(list, n.address())
	}
	return list
}

// any returns a random node.
func (r *rig) any() *node { return r.nodes[r.random.IntN(len(r.nodes))] }

// hold waits, or until the test ends.
func (r *rig) hold(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.t.Context().Done():
	}
}

// recordFault counts a fault and logs it. The caller injects it, before or after that.
func (r *rig) recordFault(format string, args ...any) {
	r.injected++
	r.t.Logf("%8s  %s", time.Since(r.history.began).Round(time.Millisecond), fmt.Sprintf(format, args...))
}

// note keeps a measurement for the log and the table.
func (r *rig) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.t.Log(text)
	r.seen = append(r.seen, text)
}

// flow waits until so many more messages are acknowledged.
func (r *rig) flow(n int) {
	r.t.Helper()
	from := r.history.acknowledged()
	chattest.Eventually(r.t, fmt.Sprintf("%d more messages to be acknowledged", n), func() bool { return r.history.acknowledged() >= from+n })
}

// refusedForGood counts the changes that were refused because their target was gone or had
// reached a bound of changes.
func refusedForGood(list []check.Record) int {
	type change struct{ room, user, key string }
	asked, refused := make(map[change]bool), make(map[change]bool)
	for i := range list {
		r := &list[i]
		c := change{r.Room, r.User, r.Key}
		switch {
		case r.Op == check.OpSend && r.Kind != "":
			asked[c] = true
		case r.Op == check.OpRefused && asked[c] && (r.Code == string(protocol.CodeNotFound) || r.Code == string(protocol.CodeForbidden)):
			refused[c] = true
		case r.Op == check.OpSent:
			delete(refused, c) // an earlier repeat was refused, and then it was acknowledged
		}
	}
	return len(refused)
}

// hush makes the clients stop sending.
func (r *rig) hush() {
	if r.talked > 0 {
		return
	}
	r.talked = time.Since(r.history.began)
	for _, c := range r.fleet.Clients {
		c.Hush()
	}
}

// finish waits until the clients have received everything, verifies the history, and adds a
// row to the table.
func (r *rig) finish() (*check.Report, []check.Record) {
	r.t.Helper()
	r.hush()
	ctx, cancel := context.WithTimeout(r.t.Context(), settledIn)
	defer cancel()
	list, err := r.fleet.Finish(ctx, r.rdb.Client, "chat")
	if err != nil {
		r.t.Fatal(err)
	}
	rep := check.Verify(list)
	for _, v := range rep.Violations {
		r.t.Error(v)
	}
	if !rep.OK() {
		r.fault.keep(r.t, list)
	}
	if rep.Acknowledged < leastSaid {
		r.t.Errorf("only %d messages were acknowledged", rep.Acknowledged)
	}
	if unknown := rep.Unknown - refusedForGood(list); unknown != r.byHand {
		r.t.Errorf("%d messages were never acknowledged", unknown-r.byHand)
	}
	if r.injected == 0 {
		r.t.Error("no fault was injected")
	}
	table.add(row{
		fault: r.fault, injected: r.injected, report: rep, silence: longestSilence(list, r.talked), away: longestAway(list), seen: r.seen,
	})
	return rep, list
}

// steady checks that no client got a gap or a reset. It is for faults that lose no log.
func (r *rig) steady(rep *check.Report) {
	r.t.Helper()
	if rep.Gaps+rep.Resets > 0 {
		r.t.Errorf("clients got %d gaps and %d resets, although no log was lost", rep.Gaps, rep.Resets)
	}
}

// tell logs the state of clients and nodes if the test has failed.
func (r *rig) tell() {
	if !r.t.Failed() {
		return
	}
	r.t.Log(chattest.Repeat(seed))
	for _, c := range r.fleet.Clients {
		r.t.Log(c.State())
	}
	list := r.nodes
	if r.parent != nil {
		list = append(list, r.parent)
	}
	for _, n := range list {
		r.t.Logf("%s at %s:\n%s", n.id, n.address(), lastLines(n.log(), 40))
	}
}

func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
