package client

import (
	"fmt"
	"math/rand/v2"
	"time"

	"example.com/chat/internal/protocol"
)

// join joins or recovers a room, unless a join is in flight.
func (s *Session) join(c *Conn, r *room) {
	s.mu.Lock()
	if s.conn != c || s.rooms[r.name] != r || r.joining || r.err != nil {
		s.mu.Unlock()
		return
	}
	r.joining, r.joined, r.more = true, false, false
	r.turn++
	r.hello = nil
	turn := r.turn
	cmd := protocol.JoinCommand{Room: r.name, After: afterOf(r.cursor())}
	s.mu.Unlock()
	// If the write fails the connection ends, and the next one joins.
	_ = c.Request(cmd, func(e Event) {
		if refused := e.Refused(); refused != nil {
			s.joinRefused(c, r, turn, refused)
		} else if err := s.joined(c, r, turn, e); err != nil {
			_ = c.end(err)
		}
	})
}

// helloJoins returns the rooms for a hello to join with their cursors, as many as
// certainly fit into a frame; the others are joined by commands.
func (s *Session) helloJoins() map[string]string {
	const most, each = 2048, len(`"":"",`)
	s.mu.Lock()
	defer s.mu.Unlock()
	joins := make(map[string]string)
	size := 0
	for name, r := range s.rooms {
		after := afterOf(r.cursor())
		if size += len(name) + len(after) + each; size > most {
			break
		}
		if r.err == nil {
			joins[name] = after
		}
	}
	return joins
}

// joinAllLocked records which rooms the hello of a new connection joins, and returns
// the rooms that are still to be joined and those that are to be left.
func (s *Session) joinAllLocked(c *Conn) (join []*room, leave []string) {
	for name, r := range s.rooms {
		r.lost()
		if after, ok := c.joins[name]; !ok || after != afterOf(r.cursor()) || r.err != nil {
			join = append(join, r)
			continue
		}
		r.joining, r.hello = true, c
		r.turn++
	}
	for name := range c.joins {
		if s.rooms[name] == nil {
			leave = append(leave, name)
		}
	}
	return join, leave
}

// helloRoom returns the room of a reply to a join of the hello, with the turn of that
// join; nil if the hello did not join it.
func (s *Session) helloRoom(c *Conn, name string) (r *room, turn int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r = s.rooms[name]; r == nil || r.hello != c || !r.joining {
		return nil, 0
	}
	return r, r.turn
}

func (s *Session) joined(c *Conn, r *room, turn int, e Event) error {
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
	if !s.locked(func() bool {
		if s.rooms[r.name] != r || r.turn != turn {
			return false
		}
		r.hello = nil
		updates = r.resumed(j, head.ID, list)
		filling, more = r.filling, r.more && r.stand
		s.changeLocked()
		return true
	}) {
		return nil
	}
	s.tell(r, updates)
	if more {
		s.awaitRest(c, r, turn)
	}
	if filling {
		s.older(c, r, 0)
	}
	return nil
}

// awaitRest ends the wait for the rest of a joined of messages as they stand, once
// nothing has arrived for Timing.Rest: head may be the id of a change, which need not
// be sent as an entry of its own. The rest of a recovery always ends with head.
func (s *Session) awaitRest(c *Conn, r *room, turn int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c || r.turn != turn || !r.more {
		return
	}
	if wait := s.opts.Timing.Rest - time.Since(r.moved); wait > 0 {
		time.AfterFunc(wait, func() { s.awaitRest(c, r, turn) }) // one short call; does nothing if c has ended
		return
	}
	// The reply has its place among the entries, and the reader handles it. The
	// goroutine ends with the write.
	go func() { _ = c.Request(protocol.PingCommand{}, func(Event) { s.restIsHere(c, r, turn) }) }()
}

func (s *Session) restIsHere(c *Conn, r *room, turn int) {
	var updates []Update
	var filling, early bool
	if !s.locked(func() bool {
		if s.conn != c || r.turn != turn || !r.more {
			return false
		}
		if early = time.Since(r.moved) < s.opts.Timing.Rest; !early {
			updates, filling = r.complete(), r.filling
		}
		return true
	}) {
		return
	}
	if early {
		s.awaitRest(c, r, turn)
		return
	}
	s.tell(r, updates)
	if filling {
		s.older(c, r, 0)
	}
}

// joinRefused schedules another join if the refusal is temporary, and else gives the
// room up.
func (s *Session) joinRefused(c *Conn, r *room, turn int, refused *protocol.Error) {
	s.mu.Lock()
	if s.rooms[r.name] != r || r.turn != turn {
		s.mu.Unlock()
		return
	}
	r.hello = nil
	if protocol.Codes[refused.Code].Retry {
		wait := s.again(refused, r.tries)
		r.tries++
		s.mu.Unlock()
		s.triesAgain(refused)
		time.AfterFunc(wait, func() { // one short call; does nothing if c has ended
			s.mu.Lock()
			if s.conn == c && r.turn == turn {
				r.joining = false
			}
			s.mu.Unlock()
			s.join(c, r)
		})
		return
	}
	r.err = fmt.Errorf("join room %q: %w", r.name, refused)
	r.joining = false
	r.begin()
	s.changeLocked()
	s.mu.Unlock()
	s.tell(r, []Update{{Kind: KindEnded, Room: r.name, Err: r.err}})
}

// again returns the wait before a refused command is repeated.
func (s *Session) again(refused *protocol.Error, tries int) time.Duration {
	return time.Duration(refused.RetryAfter)*time.Millisecond + rand.N(s.opts.Timing.backoff(tries))
}

// older requests the next older messages of a room that is filling.
func (s *Session) older(c *Conn, r *room, tries int) {
	var cmd protocol.HistoryCommand
	if !s.locked(func() bool {
		if s.conn != c || !r.filling || len(r.old) == 0 {
			return false
		}
		cmd = protocol.HistoryCommand{Room: r.name, Before: r.old[0].ID, Limit: min(protocol.MaxHistory, r.newest-len(r.old))}
		return true
	}) {
		return
	}
	_ = c.Request(cmd, func(e Event) {
		if refused := e.Refused(); refused != nil && protocol.Codes[refused.Code].Retry && tries < maxTries {
			// One short call; does nothing if c has ended.
			time.AfterFunc(s.again(refused, tries), func() { s.older(c, r, tries+1) })
			return
		}
		if err := s.fill(c, r, e); err != nil {
			_ = c.end(err)
		}
	})
}

// maxTries bounds the repeats of commands for which waiting may not help.
const maxTries = 5

// fill adds a page of older messages; an error event ends the filling.
func (s *Session) fill(c *Conn, r *room, e Event) error {
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
	var done bool
	if !s.locked(func() bool {
		if !r.filling || s.rooms[r.name] != r || len(r.old) == 0 {
			return false
		}
		for len(list) > 0 && list[len(list)-1].At.Seq >= r.old[0].At.Seq {
			list = list[:len(list)-1]
		}
		r.old = append(list, r.old...)
		done = len(list) == 0 || !page.More || len(r.old) >= r.newest
		if done {
			updates = r.filled()
		}
		return true
	}) {
		return nil
	}
	s.tell(r, updates)
	if !done {
		s.older(c, r, 0)
	}
	return nil
}

// live handles an entry that arrived as an event.
func (s *Session) live(c *Conn, e Entry) {
	s.mu.Lock()
	r := s.rooms[e.Room]
	if r == nil {
		s.mu.Unlock()
		return
	}
	wasFilling := r.filling
	updates, ask := r.next(e)
	filling := r.filling && !wasFilling
	s.mu.Unlock()
	s.tell(r, updates)
	if filling {
		s.older(c, r, 0)
	}
	if ask {
		s.join(c, r)
	}
}

// reset starts a room over whose log was replaced.
func (s *Session) reset(c *Conn, name string) {
	s.mu.Lock()
	r := s.rooms[name]
	if r == nil {
		s.mu.Unlock()
		return
	}
	tell := r.begun
	r.lost()
	r.restart()
	s.mu.Unlock()
	if tell {
		s.tell(r, []Update{{Kind: KindReset, Room: name}})
	}
	s.join(c, r)
}

// tell passes updates to the caller's handler, and lets Follow return after the first.
// Only the Session's reader calls it, without a lock, so updates stay in order.
func (s *Session) tell(r *room, updates []Update) {
	if r.handle != nil {
		for _, u := range updates {
			r.handle(u)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.begun && !r.open {
		r.open = true
		close(r.ready)
	}
}
