package client

import (
	"fmt"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
)

// room keeps one room joined on the connections of a Session, and passes its updates to
// the caller in order. Its methods are safe for concurrent use, except that only the
// reader of the connection calls joined, live, reset and helloReply. mu is not held
// while a command is written or the caller's handler runs.
type room struct {
	name   string
	handle func(Update)  // nil if the caller does not follow the room
	ready  chan struct{} // closed when the first updates were passed on
	hooks  *roomHooks

	mu      sync.Mutex // guards the fields below
	conn    *Conn      // on which the room is joined; nil between connections, and once it was left
	left    bool
	joining bool // a join is in flight or scheduled
	joined  bool // on conn
	tries   int  // consecutive refused joins
	turn    int  // numbers the joins: only the reply to the newest one counts
	byHello bool // the newest join is the hello's of conn
	open    bool // ready is closed
	err     error
	entries timeline
}

// roomHooks are what all rooms of a Session share.
type roomHooks struct {
	timing  *Timing
	changed func()                // called after a room was joined, refused or left, without its lock
	refused func(*protocol.Error) // gets each temporary refusal
}

func newRoom(name string, f Follow, after protocol.Cursor, hooks *roomHooks) *room {
	return &room{
		name: name, handle: f.Handle, ready: make(chan struct{}), hooks: hooks,
		entries: timeline{room: name, after: after, newest: f.Newest, anew: true},
	}
}

// locked calls f with the lock held, which is released also if f panics, and returns
// its result.
func (r *room) locked(f func() bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return f()
}

// state returns whether the room is joined, and why it is refused permanently.
func (r *room) state() (joined bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.joined, r.err
}

// followed reports whether the caller follows the room, and is not refused.
func (r *room) followed() bool {
	return r.locked(func() bool { return r.handle != nil && r.err == nil })
}

// catchingUp reports whether the node is still sending the rest of a joined.
func (r *room) catchingUp(c *Conn) bool {
	return r.locked(func() bool { return r.conn == c && r.entries.restWithin(r.hooks.timing.Rest, time.Now()) })
}

// helloJoin returns the cursor for a hello that joins the room; ok is false if the room
// is refused.
func (r *room) helloJoin() (after string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return afterOf(r.entries.cursor()), r.err == nil
}

// attach begins with a new connection. Either its hello has joined the room, or join
// must follow.
func (r *room) attach(c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left {
		return
	}
	r.entries.lost()
	r.conn, r.joining, r.joined, r.byHello = c, false, false, false
	if after, ok := c.joins[r.name]; ok && after == afterOf(r.entries.cursor()) && r.err == nil {
		r.joining, r.byHello = true, true
		r.turn++
	}
}

// detach ends the use of a connection; the cursor stays.
func (r *room) detach() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conn = nil
}

// leave ends the room: nothing is joined any more, and replies under way are ignored.
func (r *room) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conn, r.left = nil, true
}

// enter joins the room, unless it is joined.
func (r *room) enter(c *Conn) {
	if joined, _ := r.state(); !joined {
		r.join(c)
	}
}

// rejoin joins the room again, after the node reported that it is not joined.
func (r *room) rejoin(c *Conn) {
	r.locked(func() bool {
		r.joined = false
		return true
	})
	r.join(c)
}

// join joins or recovers the room, unless a join is in flight.
func (r *room) join(c *Conn) {
	var turn int
	var cmd protocol.JoinCommand
	if !r.locked(func() bool {
		if r.conn != c || r.joining || r.err != nil {
			return false
		}
		r.entries.lost()
		r.joining, r.joined, r.byHello = true, false, false
		r.turn++
		turn = r.turn
		cmd = protocol.JoinCommand{Room: r.name, After: afterOf(r.entries.cursor())}
		return true
	}) {
		return
	}
	// If the write fails the connection ends, and the next one joins.
	_ = c.Request(cmd, func(e Event) {
		if err := r.joinReply(c, turn, e); err != nil {
			_ = c.end(err)
		}
	})
}

// helloReply handles an event that may be the reply to the join of a hello. handled is
// false if it is none.
func (r *room) helloReply(c *Conn, e Event) (handled bool, err error) {
	var turn int
	if !r.locked(func() bool {
		turn = r.turn
		return r.conn == c && r.byHello && r.joining
	}) {
		return false, nil
	}
	return true, r.joinReply(c, turn, e)
}

// joinReply handles the reply to a join.
func (r *room) joinReply(c *Conn, turn int, e Event) error {
	if refused := e.Refused(); refused != nil {
		r.joinRefused(c, turn, refused)
		return nil
	}
	var j protocol.JoinedEvent
	if err := e.Decode(&j); err != nil {
		return err
	}
	list, err := decodeEntries(j.Messages)
	if err != nil {
		return err
	}
	head, err := protocol.ParseCursor(j.Head)
	if err != nil {
		return fmt.Errorf("the node sent the head %q", j.Head)
	}
	if n := len(list); n > 0 && list[n-1].At.Seq > head.ID.Seq {
		head.ID = list[n-1].At
	}
	var updates []Update
	var filling, more bool
	if !r.locked(func() bool {
		if r.left || r.turn != turn {
			return false
		}
		r.joining, r.joined, r.byHello, r.tries = false, true, false, 0
		updates = r.entries.resumed(j, head.ID, list, time.Now())
		filling, more = r.entries.filling, r.entries.more && r.entries.stand
		return true
	}) {
		return nil
	}
	r.hooks.changed()
	r.pass(updates)
	if more {
		r.awaitRest(c, turn)
	}
	if filling {
		r.older(c, 0)
	}
	return nil
}

// joinRefused schedules another join if the refusal is temporary, and else gives the
// room up.
func (r *room) joinRefused(c *Conn, turn int, refused *protocol.Error) {
	temporary := protocol.Codes[refused.Code].Retry
	var wait time.Duration
	if !r.locked(func() bool {
		if r.left || r.turn != turn {
			return false
		}
		r.byHello = false
		if temporary {
			wait = r.hooks.timing.again(refused, r.tries)
			r.tries++
			return true
		}
		r.err = fmt.Errorf("join room %q: %w", r.name, refused)
		r.joining = false
		r.entries.begun = true
		return true
	}) {
		return
	}
	if !temporary {
		r.hooks.changed()
		_, err := r.state()
		r.pass([]Update{{Kind: KindEnded, Room: r.name, Err: err}})
		return
	}
	r.hooks.refused(refused)
	time.AfterFunc(wait, func() { // one short call; does nothing if c has ended
		if r.locked(func() bool {
			due := r.conn == c && r.turn == turn
			if due {
				r.joining = false
			}
			return due
		}) {
			r.join(c)
		}
	})
}

// awaitRest ends the wait for the rest of a joined of messages as they stand, once
// nothing has arrived for Timing.Rest: head may be the id of a change, which need not
// be sent as an entry of its own. The rest of a recovery always ends with head.
func (r *room) awaitRest(c *Conn, turn int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != c || r.turn != turn || !r.entries.more {
		return
	}
	if wait := r.hooks.timing.Rest - time.Since(r.entries.moved); wait > 0 {
		time.AfterFunc(wait, func() { r.awaitRest(c, turn) }) // one short call; does nothing if c has ended
		return
	}
	// The reply has its place among the entries, and the reader handles it. The
	// goroutine ends with the write.
	go func() { _ = c.Request(protocol.PingCommand{}, func(Event) { r.endRest(c, turn) }) }()
}

// endRest is the end of awaitRest, unless another entry has arrived meanwhile.
func (r *room) endRest(c *Conn, turn int) {
	var updates []Update
	var filling, early bool
	if !r.locked(func() bool {
		if r.conn != c || r.turn != turn || !r.entries.more {
			return false
		}
		if early = r.entries.restWithin(r.hooks.timing.Rest, time.Now()); !early {
			updates, filling = r.entries.complete(), r.entries.filling
		}
		return true
	}) {
		return
	}
	if early {
		r.awaitRest(c, turn)
		return
	}
	r.pass(updates)
	if filling {
		r.older(c, 0)
	}
}

// older requests the next older messages of a room that is filling.
func (r *room) older(c *Conn, tries int) {
	var cmd protocol.HistoryCommand
	if !r.locked(func() (ok bool) {
		cmd, ok = r.entries.page()
		return ok && r.conn == c
	}) {
		return
	}
	_ = c.Request(cmd, func(e Event) {
		if refused := e.Refused(); refused != nil && protocol.Codes[refused.Code].Retry && tries < maxTries {
			// One short call; does nothing if c has ended.
			time.AfterFunc(r.hooks.timing.again(refused, tries), func() { r.older(c, tries+1) })
			return
		}
		if err := r.fill(c, e); err != nil {
			_ = c.end(err)
		}
	})
}

// fill adds a page of older messages; an error event ends the filling.
func (r *room) fill(c *Conn, e Event) error {
	var page protocol.HistoryEvent
	if e.Type == protocol.History {
		if err := e.Decode(&page); err != nil {
			return err
		}
	}
	list, err := decodeEntries(page.Messages)
	if err != nil {
		return err
	}
	var updates []Update
	var again bool
	if !r.locked(func() bool {
		if !r.left {
			updates, again = r.entries.fill(list, page.More)
		}
		return !r.left
	}) {
		return nil
	}
	r.pass(updates)
	if again {
		r.older(c, 0)
	}
	return nil
}

// live handles an entry that arrived as an event.
func (r *room) live(c *Conn, e Entry) {
	var updates []Update
	var filling, ask bool
	if !r.locked(func() bool {
		if !r.joined || r.left { // the next joined will have it
			return false
		}
		before := r.entries.filling
		updates, ask = r.entries.next(e, time.Now())
		filling = r.entries.filling && !before
		return true
	}) {
		return
	}
	r.pass(updates)
	if filling {
		r.older(c, 0)
	}
	if ask {
		r.join(c)
	}
}

// reset starts a room over whose log was replaced.
func (r *room) reset(c *Conn) {
	if r.locked(func() bool {
		if r.left {
			return false
		}
		r.joining, r.joined = false, false
		r.entries.restart()
		return r.entries.begun
	}) {
		r.pass([]Update{{Kind: KindReset, Room: r.name}})
	}
	r.join(c)
}

// pass passes updates to the caller's handler, and lets Follow return after the first.
// Only the connection's reader calls it, without a lock, so updates stay in order.
func (r *room) pass(updates []Update) {
	if r.handle != nil {
		for _, u := range updates {
			r.handle(u)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries.begun && !r.open {
		r.open = true
		close(r.ready)
	}
}

// afterOf returns a cursor in the form of join and hello.
func afterOf(c protocol.Cursor) string {
	if !c.Given {
		return ""
	}
	return c.ID.Head()
}
