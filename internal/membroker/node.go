package membroker

import (
	"context"
	"sync"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// Node is one node's view of a Store, in all roles of room.Broker. It is safe for
// concurrent use.
type Node struct {
	store *Store
	id    string
	queue *queue

	// Guarded by the Store's lock.
	instance string
	followed map[string]bool
	closed   bool
}

// Join adds a node to the store. Run delivers its events.
func (s *Store) Join(id string) *Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &Node{store: s, id: id, queue: newQueue(), instance: s.newInstanceLocked(id), followed: make(map[string]bool)}
	s.nodes = append(s.nodes, n)
	return n
}

// Room returns the roles of the Node that rooms need.
func (n *Node) Room() room.Broker {
	return room.Broker{Log: n, Subscriber: n, Presence: n, Names: n, Rulebook: n}
}

// Run delivers the node's events to the feed until ctx is done. Then the node has left:
// all that it wrote about its users is removed, as after the end of a lease. It is called
// once.
func (n *Node) Run(ctx context.Context, feed room.Feed) {
	feed.Reachable(true)
	for {
		select {
		case <-ctx.Done():
			n.store.mu.Lock()
			defer n.store.mu.Unlock()
			n.closed = true
			n.store.leaveLocked(n)
			return
		case <-n.queue.ready:
		}
		events, missed := n.queue.take()
		for _, e := range events {
			e.deliver(feed)
		}
		if missed {
			for _, name := range n.following() {
				feed.Following(name)
			}
		}
	}
}

func (n *Node) following() (list []string) {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	for name := range n.followed {
		list = append(list, name)
	}
	return list
}

// enter locks the Store for a call. The caller unlocks it, unless enter returned an
// error.
func (n *Node) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n.store.mu.Lock()
	if n.closed {
		n.store.mu.Unlock()
		return ErrClosed
	}
	return nil
}

// Follow subscribes to the room (room.Subscriber).
func (n *Node) Follow(name string) {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	n.followed[name] = true
	n.queue.put(event{kind: eventFollowing, room: name})
}

// Unfollow ends Follow (room.Subscriber).
func (n *Node) Unfollow(name string) {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	delete(n.followed, name)
}

// Typing publishes that the user is typing (room.Subscriber).
func (n *Node) Typing(ctx context.Context, name string, user protocol.User) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.store.mu.Unlock()
	n.store.publishLocked(event{kind: eventTyping, room: name, user: user})
	return nil
}

// Rules reads the rules in force (room.Rulebook).
func (n *Node) Rules(ctx context.Context, name string) (map[string]protocol.Rule, error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	defer n.store.mu.Unlock()
	list := make(map[string]protocol.Rule)
	for field, r := range n.store.rules[name] {
		list[field] = r
	}
	return list, nil
}

// Decide writes a decision and publishes it (room.Rulebook).
func (n *Node) Decide(ctx context.Context, d protocol.Decision) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.store.mu.Unlock()
	s := n.store
	switch {
	case d.Field == "":
	case d.Rule == nil:
		delete(s.rules[d.Room], d.Field)
	default:
		if s.rules[d.Room] == nil {
			s.rules[d.Room] = make(map[string]protocol.Rule)
		}
		s.rules[d.Room][d.Field] = *d.Rule
	}
	s.publishLocked(event{kind: eventDecision, room: d.Room, decision: d})
	return nil
}

// The kinds of events.
const (
	eventEntries = iota
	eventPresence
	eventTyping
	eventDecision
	eventRename
	eventFollowing
	eventLost
)

// event is one event for a node. Events of a room go to the nodes that follow it.
type event struct {
	kind     int
	room     string
	before   protocol.ID
	entries  []protocol.Entry
	delta    protocol.PresenceDelta
	user     protocol.User
	mark     string
	decision protocol.Decision
}

func (e *event) deliver(to room.Feed) {
	switch e.kind {
	case eventEntries:
		to.Entries(e.room, e.before, e.entries)
	case eventPresence:
		to.Presence(e.room, e.delta)
	case eventTyping:
		to.Typing(e.room, e.user)
	case eventDecision:
		to.Moderated(e.decision)
	case eventRename:
		to.Renamed(e.mark, e.user)
	case eventFollowing:
		to.Following(e.room)
	case eventLost:
		to.Lost()
	}
}

// queueMost is the largest number of events that wait for a feed.
const queueMost = 20_000

// queue holds the events that a node has not delivered yet. If there are too many they
// are dropped, and the node reports Following, as after the loss of a subscription.
type queue struct {
	ready chan struct{} // holds a value while the queue is not empty

	mu     sync.Mutex // guards the fields below; taken after the Store's
	list   []event
	missed bool
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

func (q *queue) put(e event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) >= queueMost && e.kind != eventLost {
		q.missed = true
		return
	}
	q.list = append(q.list, e)
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *queue) take() (list []event, missed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, missed = q.list, q.missed
	q.list, q.missed = nil, false
	return list, missed
}
