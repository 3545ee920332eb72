// Package membroker joins the nodes of one process through its memory. It fulfils the
// same contracts as redisbroker, without Redis. Tests and simulations use it.
//
// A Store takes the place of Redis, and a Node is one node's view of it, in all roles of
// room.Broker. A Node delivers events to its feed from a goroutine of its own, in the
// order in which they were published, like the broker of Redis.
package membroker

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
)

// changesKept is how many of a room's edits, deletions and reactions are kept, the same
// as in redisbroker.
const changesKept = 2 * protocol.MaxRecovered

// Config holds the bounds of a Store. The zero value has none but those of the protocol.
type Config struct {
	// History is how many messages a room's log keeps; 0 for any number.
	History int
	// Clock returns the time of an entry that is about to be appended, in milliseconds
	// since the epoch; nil for the system's. It must not call the Store.
	Clock func(room string, seq int64) int64
}

// Store is what nodes share in place of Redis. It is safe for concurrent use.
type Store struct {
	cfg Config

	mu        sync.Mutex // guards the fields below
	logs      map[string]*roomLog
	rules     map[string]map[string]protocol.Rule
	rooms     map[string]*attendance
	names     names
	nodes     []*Node
	instances int // number of instances so far
}

// ErrClosed is the error of a Node that has ended.
var ErrClosed = errors.New("the node has left the store")

// New makes an empty Store.
func New(cfg Config) *Store {
	if cfg.Clock == nil {
		cfg.Clock = func(string, int64) int64 { return time.Now().UnixMilli() }
	}
	s := &Store{cfg: cfg}
	s.clearLocked()
	return s
}

func (s *Store) clearLocked() {
	s.logs = make(map[string]*roomLog)
	s.rules = make(map[string]map[string]protocol.Rule)
	s.rooms = make(map[string]*attendance)
	s.names = newNames()
}

// Wipe removes all that the Store holds, as FLUSHALL does, and reports the loss to the
// nodes.
func (s *Store) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLocked()
	for _, n := range s.nodes {
		n.instance = s.newInstanceLocked(n.id)
		n.queue.put(event{kind: eventLost})
	}
}

// Entries returns the entries of a room's log, oldest first.
func (s *Store) Entries(room string) []protocol.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logLocked(room).entries()
}

// Rewrite replaces the entries of a room's log by what edit returns, as a person does by
// hand, or a failover that loses the end of the log. It publishes nothing. edit must not
// call the Store.
func (s *Store) Rewrite(room string, edit func([]protocol.Entry) []protocol.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logLocked(room).rewrite(edit(s.logLocked(room).entries()))
}

func (s *Store) logLocked(room string) *roomLog {
	l := s.logs[room]
	if l == nil {
		l = newRoomLog()
		s.logs[room] = l
	}
	return l
}

func (s *Store) newInstanceLocked(id string) string {
	s.instances++
	return fmt.Sprint(id, "~", s.instances)
}

// publishLocked queues an event for every node that follows its room, or for all nodes if
// it has none.
func (s *Store) publishLocked(e event) {
	for _, n := range s.nodes {
		if e.room == "" || n.followed[e.room] {
			n.queue.put(e)
		}
	}
}

// leaveLocked removes a node and all that it wrote about its users.
func (s *Store) leaveLocked(n *Node) {
	s.nodes = slices.DeleteFunc(s.nodes, func(other *Node) bool { return other == n })
	for room := range s.rooms {
		s.vacateLocked(n.instance, room)
	}
	s.names.releaseAll(n.instance)
}
