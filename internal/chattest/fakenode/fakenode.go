// Package fakenode provides nodes for tests of clients. They speak the protocol, share
// their rooms in memory, and fail as the test decides.
package fakenode

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"example.com/chat/internal/protocol"
)

// Cluster is the state that its nodes share: the rooms' logs, the users and their tokens.
type Cluster struct {
	// Text, Burst and Rate are the limits in the nodes' welcome. Set them before the
	// first node starts.
	Text, Burst int
	Rate        float64

	mu    sync.Mutex // guards the fields below, and those of nodes and peers
	nodes []*Node
	rooms map[string]*log
	users map[string]protocol.User // by token
	made  int                      // users
	clock int64
	// piece is the number of entries of one joined, 0 for all. withheld is set if the
	// rest of them is never sent.
	piece    int
	withheld bool
	renew    bool
	// announced is the URL that every node announces for all nodes; if it is empty, each
	// announces its own.
	announced string
}

type log struct {
	entries []entry
	seq     int64
	keys    map[string]entry // by user and key
}

type entry struct {
	id   string
	seq  int64
	time int64
	raw  []byte
}

// New returns a cluster without nodes.
func New() *Cluster {
	return &Cluster{Text: 4000, Burst: 1000, rooms: make(map[string]*log), users: make(map[string]protocol.User), clock: 1_764_000_000_000}
}

// Start adds a node, which the end of the test ends.
func (c *Cluster) Start(t *testing.T) *Node {
	t.Helper()
	c.mu.Lock()
	id := "n" + strconv.Itoa(len(c.nodes)+1)
	c.mu.Unlock()
	n := &Node{ID: id, cluster: c, peers: make(map[*peer]bool), thaw: make(chan struct{})}
	n.listen(t)
	c.mu.Lock()
	c.nodes = append(c.nodes, n)
	c.mu.Unlock()
	return n
}

// Announce makes every node announce the same URL for all nodes, like nodes behind a
// proxy.
func (c *Cluster) Announce(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announced = url
}

// Renew makes a token that is no longer valid produce a new user, whose welcome has
// "renewed", in place of an error.
func (c *Cluster) Renew(renew bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renew = renew
}

// Pieces limits the entries of a joined. The rest follows, unless it is withheld.
func (c *Cluster) Pieces(entries int, withheld bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.piece, c.withheld = entries, withheld
}

// Say appends a message of another user, and returns its id.
func (c *Cluster) Say(room, text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.logLocked(room)
	e := c.appendLocked(l, room, protocol.User{ID: "u-other", Name: "Other"}, "other-"+strconv.FormatInt(l.seq, 10), text, "n0")
	return e.id
}

// Publish delivers an event to all members of a room, without appending it.
func (c *Cluster) Publish(room string, raw string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.publishLocked(room, []byte(raw))
}

// Trim drops the oldest entries of a room, and keeps the newest keep.
func (c *Cluster) Trim(room string, keep int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.logLocked(room)
	l.entries = slices.Clone(l.entries[len(l.entries)-keep:])
}

// Wipe empties a room, whose ids start anew. If tell is set, its members get a reset.
func (c *Cluster) Wipe(room string, tell bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms[room] = &log{keys: make(map[string]entry)}
	c.clock += 1000
	if tell {
		c.publishLocked(room, protocol.Reset(room, protocol.ID{}).AppendFrame(nil))
	}
}

// Texts returns the texts in a room's log.
func (c *Cluster) Texts(room string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var texts []string
	for _, e := range c.logLocked(room).entries {
		var m struct{ Text string }
		_ = json.Unmarshal(e.raw, &m)
		texts = append(texts, m.Text)
	}
	return texts
}

// Forget makes all tokens invalid, like a cluster that lost its secret.
func (c *Cluster) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.users)
}

func (c *Cluster) logLocked(room string) *log {
	l := c.rooms[room]
	if l == nil {
		l = &log{keys: make(map[string]entry)}
		c.rooms[room] = l
	}
	return l
}

func (c *Cluster) appendLocked(l *log, room string, u protocol.User, key, text, node string) entry {
	l.seq++
	c.clock++
	e := entry{id: fmt.Sprintf("%d-%d", c.clock, l.seq), seq: l.seq, time: c.clock}
	id := protocol.ID{MS: e.time, Seq: e.seq}
	e.raw = protocol.Message(u, key, text, node).Entry(id, room, 0).Raw
	l.entries = append(l.entries, e)
	l.keys[u.ID+" "+key] = e
	c.publishLocked(room, e.frame())
	return e
}

func (c *Cluster) publishLocked(room string, frame []byte) {
	for _, n := range c.nodes {
		for p := range n.peers {
			if p.rooms[room] {
				p.push(frame)
			}
		}
	}
}

func (c *Cluster) nodesLocked(self *Node) []protocol.Node {
	list := []protocol.Node{{ID: self.ID, URL: cmp.Or(c.announced, self.URL)}}
	for _, n := range c.nodes {
		if n != self && !n.dead {
			list = append(list, protocol.Node{ID: n.ID, URL: cmp.Or(c.announced, n.URL)})
		}
	}
	return list
}

// joined answers a join: the newest 50 entries, or all after a cursor, limited to most.
// rest holds those that follow.
func (l *log) joined(room, after string, most int) (reply protocol.Event, rest []entry) {
	list, recovered := l.entries[max(0, len(l.entries)-50):], false
	switch {
	case after == "0-0":
		if n := len(l.entries); n <= 1000 && l.seq == int64(n) {
			list, recovered = l.entries, true
		}
	case after != "":
		if i := slices.IndexFunc(l.entries, func(e entry) bool { return e.id == after }); i >= 0 && len(l.entries)-i-1 <= 1000 {
			list, recovered = l.entries[i+1:], true
		}
	}
	var head protocol.ID
	if n := len(l.entries); n > 0 {
		head = protocol.ID{MS: l.entries[n-1].time, Seq: l.entries[n-1].seq}
	}
	if most > 0 && len(list) > most {
		list, rest = list[:most], list[most:]
	}
	return protocol.Joined(room, head, recovered, raws(list), len(rest) > 0, nil, 0, nil), rest
}

func (l *log) history(room, before string, limit int) protocol.Event {
	list := l.entries
	if _, seq, ok := strings.Cut(before, "-"); ok {
		n, _ := strconv.ParseInt(seq, 10, 64)
		i := slices.IndexFunc(list, func(e entry) bool { return e.seq >= n })
		list = list[:max(0, i)]
	}
	older := max(0, len(list)-limit)
	return protocol.Histories(room, raws(list[older:]), older > 0)
}

func raws(list []entry) []protocol.Entry {
	out := make([]protocol.Entry, len(list))
	for i, e := range list {
		out[i] = protocol.Entry{Raw: e.raw}
	}
	return out
}

// frame returns the entry as the event "message".
func (e entry) frame() []byte { return protocol.Entry{Raw: e.raw}.Event().AppendFrame(nil) }
