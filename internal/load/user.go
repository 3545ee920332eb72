package load

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// user is what a Client knows and does, without goroutines: it handles events, decides
// what to write, and records both. It is not safe for concurrent use. Its methods write
// commands, and do not read.
type user struct {
	cfg    Config
	rooms  map[string]*place
	outbox outbox

	wire    Wire // nil between connections
	conn    int  // counts connections
	id      string
	token   string
	silent  bool      // it sends no new messages
	ended   bool      // it records nothing any more
	entered bool      // it has joined a room
	refusal error     // of its newest refused join
	next    time.Time // time of the next message
	change  time.Time // time of the next change of node
}

func newUser(cfg Config) *user {
	u := &user{cfg: cfg, rooms: make(map[string]*place), outbox: outbox{name: cfg.Name, window: cfg.Window}}
	for _, name := range cfg.Rooms {
		u.rooms[name] = new(place)
	}
	return u
}

// record adds records of this user to the history.
func (u *user) record(list ...check.Record) {
	if u.ended {
		return
	}
	for i := range list {
		list[i].Client, list[i].Conn = u.cfg.Name, u.conn
	}
	u.cfg.History.Add(list...)
}

// end records that the user has received everything. Nothing is recorded after it.
func (u *user) end() {
	for _, name := range u.cfg.Rooms {
		u.record(check.Record{Op: check.OpEnd, Room: name})
	}
	u.ended = true
}

// in reports whether the user has joined all of its rooms.
func (u *user) in() bool {
	for _, p := range u.rooms {
		if !p.joined {
			return false
		}
	}
	return true
}

// content reports whether all messages are acknowledged and the newest entry of each
// room has arrived.
func (u *user) content(heads map[string]string) bool {
	for name, p := range u.rooms {
		if !p.complete(heads[name]) {
			return false
		}
	}
	return len(u.outbox.pending) == 0
}

// welcomed begins with a new connection, and joins the rooms.
func (u *user) welcomed(wire Wire, now time.Time) {
	w := wire.Welcome()
	u.wire, u.id, u.token = wire, w.User.ID, w.Token
	u.conn++
	if u.cfg.Switch > 0 {
		u.change = now.Add(upTo(u.cfg.Random, 2*u.cfg.Switch))
	}
	for _, name := range u.cfg.Rooms {
		u.join(name)
	}
}

// lost records the end of the connection.
func (u *user) lost() {
	u.wire = nil
	for _, p := range u.rooms {
		p.lost()
	}
	u.record(check.Record{Op: check.OpLost})
}

// join joins a room. The ref repeats the cursor, so that the reply has it too.
func (u *user) join(name string) {
	p := u.rooms[name]
	p.again = time.Time{}
	_ = u.wire.WriteRef(protocol.JoinCommand{Room: name, After: p.last}, p.last)
}

// write writes a message, for the first time or again.
func (u *user) write(m *message, now time.Time) {
	m.conn, m.written, m.again = u.conn, now, time.Time{}
	u.record(m.record(u.id))
	_ = u.wire.WriteRef(m.command(), "")
}

// hear handles an event.
func (u *user) hear(e client.Event, now time.Time) {
	switch e.Type {
	case protocol.MessageName:
		var m client.Entry
		if json.Unmarshal(e.Raw, &m) == nil && u.rooms[m.Room] != nil {
			u.record(u.rooms[m.Room].message(m, u.id)...)
		}
	case protocol.SentName:
		var s protocol.SentEvent
		if json.Unmarshal(e.Raw, &s) == nil {
			u.record(check.Record{Op: check.OpSent, Room: s.Room, User: u.id, Key: s.Key, ID: s.ID, Duplicate: s.Duplicate})
			u.outbox.acknowledge(s.Room, s.Key)
		}
	case protocol.JoinedName:
		var j protocol.JoinedEvent
		if json.Unmarshal(e.Raw, &j) == nil && u.rooms[j.Room] != nil {
			u.joined(j, e, now)
		}
	case protocol.History:
		var h protocol.HistoryEvent
		if json.Unmarshal(e.Raw, &h) == nil && u.rooms[h.Room] != nil {
			u.history(h)
		}
	case protocol.ResetName:
		var r protocol.ResetEvent
		if json.Unmarshal(e.Raw, &r) == nil && u.rooms[r.Room] != nil {
			u.record(check.Record{Op: check.OpReset, Room: r.Room, Head: r.Head})
			u.rooms[r.Room].reset()
			u.join(r.Room)
		}
	case protocol.ErrorName:
		if refused := e.Refused(); refused != nil {
			u.refused(refused, now)
		}
	}
}

// joined handles the reply to a join. Messages that have no answer from an earlier
// connection are then written again.
func (u *user) joined(j protocol.JoinedEvent, e client.Event, now time.Time) {
	var ref struct{ Ref string }
	_ = json.Unmarshal(e.Raw, &ref) // the after of the join
	u.record(u.rooms[j.Room].resumed(j, ref.Ref, u.id)...)
	u.entered = true
	for _, m := range u.outbox.pending {
		if m.room == j.Room && m.conn != u.conn {
			u.write(m, now)
		}
	}
}

// history records a page of a room's history.
func (u *user) history(h protocol.HistoryEvent) {
	list := []check.Record{{Op: check.OpHistory, Room: h.Room, More: h.More, Count: len(h.Messages)}}
	for _, raw := range h.Messages {
		var m client.Entry
		if json.Unmarshal(raw, &m) == nil {
			list = append(list, shownRecord(m))
		}
	}
	u.record(list...)
}

// refused handles the refusal of a message or a join, which is repeated later.
func (u *user) refused(r *protocol.Error, now time.Time) {
	again := func(tries int) time.Time {
		return now.Add(time.Duration(r.RetryAfter)*time.Millisecond + upTo(u.cfg.Random, retrySpread(tries)))
	}
	if u.outbox.refuse(r, again) {
		u.record(check.Record{Op: check.OpRefused, Room: r.Room, User: u.id, Key: r.Key, Code: string(r.Code)})
		return
	}
	if p := u.rooms[r.Room]; p != nil && !p.joined {
		u.refusal = r
		p.again = again(p.tries)
		p.tries++
	}
}

// act does what is due: a change of node, refused commands, deletions, a new message.
func (u *user) act(now time.Time) {
	if u.wire == nil {
		return
	}
	if u.cfg.Switch > 0 && !u.silent && now.After(u.change) {
		u.change = now.Add(time.Hour)
		go u.wire.Close() // may wait for the other side; no other goroutine waits for it
		return
	}
	for name, p := range u.rooms {
		if !p.again.IsZero() && now.After(p.again) {
			u.join(name)
		}
	}
	for _, m := range u.outbox.pending {
		switch {
		case !m.again.IsZero() && now.After(m.again) && u.rooms[m.room].joined:
			u.write(m, now)
		case m.again.IsZero() && m.conn == u.conn && now.Sub(m.written) > answerWithin:
			go u.wire.Close() // as above: the user leaves a node that does not answer
			m.written = now
		}
	}
	for m := u.nextRemoval(); m != nil; m = u.nextRemoval() {
		u.write(m, now)
	}
	if u.cfg.Every > 0 && !u.silent && !now.Before(u.next) && !u.outbox.full() {
		u.talk(now)
	}
}

func (u *user) nextRemoval() *message {
	return u.outbox.nextRemoval(func(room string) bool { return u.rooms[room].joined }, u.wire.Welcome().Limits.Rate)
}

// talk sends a new message or change to a random room, and with changes sometimes
// requests the room's history.
func (u *user) talk(now time.Time) {
	random := u.cfg.Random
	name := u.cfg.Rooms[random.IntN(len(u.cfg.Rooms))]
	p := u.rooms[name]
	if !p.joined {
		return
	}
	u.next = now.Add(upTo(random, 2*u.cfg.Every))
	m, n := u.outbox.next(name)
	m.text = fmt.Sprintf("%s says %d%s", u.cfg.Name, n, strings.Repeat(".", random.IntN(cmp.Or(u.cfg.Size, 80))))
	if most := u.wire.Welcome().Limits.Text; most > 0 {
		m.text = m.text[:min(len(m.text), most)] // a longer one would be refused forever
	}
	if u.cfg.Changes > 0 {
		if random.IntN(10) == 0 {
			_ = u.wire.WriteRef(protocol.HistoryCommand{Room: name, Limit: 1 + random.IntN(protocol.MaxHistory)}, "")
		}
		if random.Float64() < u.cfg.Changes && len(p.heard) > 0 {
			p.vary(m, random)
		}
	}
	u.outbox.pending = append(u.outbox.pending, m)
	u.write(m, now)
}
