package client

import (
	"fmt"
	"math/rand/v2"
	"time"

	"example.com/chat/internal/protocol"
)

// What an Update tells.
const (
	// KindEntry: Entry is the next entry of the room.
	KindEntry Kind = iota
	// KindGap: the room could not be resumed where it was left; entries are
	// missing before the next one.
	KindGap
	// KindReset: the room's log is no longer the one that was followed; what
	// was told of it is void, and what comes is the new log's newest part.
	KindReset
	// KindEnded: the node refuses the room for good; Err says why. It is the
	// last update.
	KindEnded
)

// Kind says what an Update tells.
type Kind int

// Update is one step of a followed room.
type Update struct {
	Kind  Kind
	Room  string
	Entry Entry
	Err   error
}

// room is one room that a Session is in. Its Session's mu guards all of it but
// the constants on top.
type room struct {
	name   string
	after  protocol.ID  // from where the user wants it; zero for the newest
	newest int          // how many entries the user wants first, where after is zero
	handle func(Update) // nil where nobody listens
	ready  chan struct{}

	begun   bool  // ready is closed
	err     error // why the node refuses the room for good
	joining bool  // a join is under way, or will be
	joined  bool  // on the Session's connection
	tries   int   // joins refused in a row
	turn    int   // counts joins: only the newest one's answer is taken
	// anew: the next joined is a beginning, not a resumption.
	anew bool
	// last is the cursor; zero when the room was empty.
	last protocol.ID
	// upTo is the head of a joined whose last messages follow as events; zero
	// where none do. While a room is gathering, these are of its first join, and
	// old is what has come of it so far.
	upTo      protocol.ID
	gathering bool

	// While older entries than those of joined are fetched, nothing is told:
	// old is what there is so far, fresh what has come since.
	filling    bool
	old, fresh []Entry
}

func newRoom(name string, f Follow) *room {
	return &room{
		name: name, after: f.After, newest: f.Newest, handle: f.Handle,
		ready: make(chan struct{}), anew: true,
	}
}

// maxFresh bounds what is kept while older entries are fetched: past it, the
// user gets no more of those.
const maxFresh = 1000

// lost notes that the connection is gone.
func (r *room) lost() {
	r.joining, r.joined, r.upTo = false, false, protocol.ID{}
	if r.filling {
		r.filling, r.anew, r.old, r.fresh = false, true, nil, nil
	}
}

func (r *room) begin() {
	if !r.begun {
		r.begun = true
		close(r.ready)
	}
}

func (r *room) cursor() string {
	if r.gathering {
		return r.last.String()
	}
	if r.anew && !r.begun {
		return r.after.String()
	}
	return r.last.String()
}

func (r *room) entries(list []Entry) []Update {
	updates := make([]Update, len(list))
	for i, e := range list {
		updates[i] = Update{Kind: KindEntry, Room: r.name, Entry: e}
	}
	return updates
}

// resumed takes a joined: what it holds, and what it says about what it doesn't.
func (r *room) resumed(j Joined, head protocol.ID, list []Entry) []Update {
	first := r.anew
	r.joining, r.joined, r.anew, r.tries = false, true, false, 0
	before := r.last
	if first && !r.begun {
		before = r.after
	}
	r.last, r.upTo = head, protocol.ID{}
	if r.gathering { // goes on where the last connection was lost
		if j.Recovered {
			list = append(r.old, list...)
		}
		r.gathering, r.old, first, before = false, nil, true, protocol.ID{}
	}
	if n := len(list); j.More && n > 0 {
		r.last, r.upTo = list[n-1].At, head
	}
	if first && before.IsZero() {
		return r.firstEntries(list)
	}
	r.begin()
	switch {
	case j.Recovered:
		return r.entries(since(list, before.Seq))
	case before.IsZero():
		// The room was empty: there is a gap if its first entry is not there.
		if len(list) > 0 && list[0].At.Seq > 1 {
			return append([]Update{{Kind: KindGap, Room: r.name}}, r.entries(list)...)
		}
		return r.entries(list)
	case otherLog(before, head, list):
		kind := KindReset
		if first {
			kind = KindGap // the user's cursor is of another log
		}
		return append([]Update{{Kind: kind, Room: r.name}}, r.entries(list)...)
	}
	return append([]Update{{Kind: KindGap, Room: r.name}}, r.entries(since(list, before.Seq))...)
}

// firstEntries begins with the room's newest entries, or begins to fetch older
// ones.
func (r *room) firstEntries(list []Entry) []Update {
	if r.begun { // anew after a reset
		return r.entries(list)
	}
	if !r.upTo.IsZero() {
		r.gathering, r.old = true, list
		return nil
	}
	if n := len(list) - r.newest; n >= 0 {
		r.begin()
		return r.entries(list[n:])
	}
	if len(list) < protocol.NewestCount {
		r.begin()
		return r.entries(list)
	}
	r.filling, r.old = true, list
	return nil
}

// otherLog tells from what came in place of the entries after a cursor whether
// the cursor is of a log that is no more.
func otherLog(cursor, head protocol.ID, list []Entry) bool {
	if head.Seq < cursor.Seq {
		return true
	}
	for _, e := range list {
		if e.At.Seq == cursor.Seq {
			return e.At != cursor
		}
	}
	return false
}

func since(list []Entry, seq int64) []Entry {
	for len(list) > 0 && list[0].At.Seq <= seq {
		list = list[1:]
	}
	return list
}

// filled ends the fetching of older entries.
func (r *room) filled() []Update {
	list := append(r.old[max(0, len(r.old)-r.newest):], r.fresh...)
	r.filling, r.old, r.fresh = false, nil, nil
	r.begin()
	return r.entries(list)
}

// next takes a live entry. ask is true where entries before it are missing: the
// node promises that they never are, but a deleted one is.
func (r *room) next(e Entry) (updates []Update, ask bool) {
	switch {
	case !r.joined || e.At.Seq <= r.last.Seq:
		return nil, false // the joined to come holds it, or it was told
	case e.At.Seq > max(r.last.Seq, r.upTo.Seq)+1 && !r.filling:
		return nil, true
	}
	r.last = e.At
	if e.At.Seq >= r.upTo.Seq {
		r.upTo = protocol.ID{}
	}
	if r.gathering {
		if r.old = append(r.old, e); !r.upTo.IsZero() {
			return nil, false
		}
		list := r.old
		r.gathering, r.old = false, nil
		return r.firstEntries(list), false
	}
	if !r.filling {
		return r.entries([]Entry{e}), false
	}
	r.fresh = append(r.fresh, e)
	if len(r.fresh) > maxFresh {
		return r.filled(), false
	}
	return nil, false
}

// join joins a room, or resumes it, unless that is under way.
func (s *Session) join(c *Conn, r *room) {
	s.mu.Lock()
	if s.conn != c || s.rooms[r.name] != r || r.joining || r.err != nil {
		s.mu.Unlock()
		return
	}
	r.joining, r.joined = true, false
	r.turn++
	turn := r.turn
	cmd := Command{Type: protocol.Join, Room: r.name, After: r.cursor()}
	s.mu.Unlock()
	// Where the write fails the connection ends, and the next one joins.
	_ = c.Request(cmd, func(e Event) {
		if refused := e.Refused(); refused != nil {
			s.joinRefused(c, r, turn, refused)
		} else if err := s.joined(c, r, turn, e); err != nil {
			_ = c.end(err)
		}
	})
}

func (s *Session) joined(c *Conn, r *room, turn int, e Event) error {
	var j Joined
	if err := e.Decode(&j); err != nil {
		return err
	}
	list, err := decodeEntries(j.Messages)
	if err != nil {
		return err
	}
	var head protocol.ID
	if j.Head != "" {
		if head, err = protocol.ParseID(j.Head); err != nil {
			return fmt.Errorf("the node sent the head %q", j.Head)
		}
	}
	if len(list) > 0 && list[len(list)-1].At.Seq > head.Seq {
		head = list[len(list)-1].At
	}
	s.mu.Lock()
	if s.rooms[r.name] != r || r.turn != turn {
		s.mu.Unlock()
		return nil
	}
	updates := r.resumed(j, head, list)
	filling := r.filling
	s.changeLocked()
	s.mu.Unlock()
	r.tell(updates)
	if filling {
		s.older(c, r, 0)
	}
	return nil
}

// joinRefused tries again what may be taken later, and gives the room up
// otherwise.
func (s *Session) joinRefused(c *Conn, r *room, turn int, refused *protocol.Error) {
	s.mu.Lock()
	if s.rooms[r.name] != r || r.turn != turn {
		s.mu.Unlock()
		return
	}
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
	r.tell([]Update{{Kind: KindEnded, Room: r.name, Err: r.err}})
}

// again is how long to wait before a command that was refused is tried again.
func (s *Session) again(refused *protocol.Error, tries int) time.Duration {
	return time.Duration(refused.RetryAfter)*time.Millisecond + rand.N(s.opts.Timing.backoff(tries))
}

// older fetches the next older entries of a room that is filling.
func (s *Session) older(c *Conn, r *room, tries int) {
	s.mu.Lock()
	if s.conn != c || !r.filling {
		s.mu.Unlock()
		return
	}
	cmd := Command{
		Type: protocol.History, Room: r.name, Before: r.old[0].ID,
		Limit: min(protocol.MaxHistory, r.newest-len(r.old)),
	}
	s.mu.Unlock()
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

// maxTries bounds the tries where waiting may not help.
const maxTries = 5

// fill takes a page of older entries; an error, which is no page, ends it.
func (s *Session) fill(c *Conn, r *room, e Event) error {
	var page History
	if e.Type == "history" {
		if err := e.Decode(&page); err != nil {
			return err
		}
	}
	list, err := decodeEntries(page.Messages)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if !r.filling || s.rooms[r.name] != r {
		s.mu.Unlock()
		return nil
	}
	for len(list) > 0 && list[len(list)-1].At.Seq >= r.old[0].At.Seq {
		list = list[:len(list)-1]
	}
	r.old = append(list, r.old...)
	done := len(list) == 0 || !page.More || len(r.old) >= r.newest
	var updates []Update
	if done {
		updates = r.filled()
	}
	s.mu.Unlock()
	r.tell(updates)
	if !done {
		s.older(c, r, 0)
	}
	return nil
}

// live takes an entry that just came into a room.
func (s *Session) live(c *Conn, e Entry) {
	s.mu.Lock()
	r := s.rooms[e.Room]
	if r == nil {
		s.mu.Unlock()
		return
	}
	filling := r.filling
	updates, ask := r.next(e)
	filling = r.filling && !filling
	s.mu.Unlock()
	r.tell(updates)
	if filling {
		s.older(c, r, 0)
	}
	if ask {
		s.join(c, r)
	}
}

// reset begins a room anew whose log was replaced.
func (s *Session) reset(c *Conn, name string) {
	s.mu.Lock()
	r := s.rooms[name]
	if r == nil {
		s.mu.Unlock()
		return
	}
	tell := r.begun
	r.lost()
	r.anew, r.after, r.last = true, protocol.ID{}, protocol.ID{}
	r.gathering, r.old = false, nil
	s.mu.Unlock()
	if tell {
		r.tell([]Update{{Kind: KindReset, Room: name}})
	}
	s.join(c, r)
}

// tell hands updates to the user; called by the Session's reader alone, without
// a lock, so they stay in order.
func (r *room) tell(updates []Update) {
	if r.handle == nil {
		return
	}
	for _, u := range updates {
		r.handle(u)
	}
}
