package client

import (
	"fmt"
	"sync"

	"example.com/chat/internal/protocol"
)

// rooms are the rooms of a Session: those that the caller follows, and those that it
// only sends to. Its methods are safe for concurrent use. mu is taken before the locks
// of its rooms, and not held while a command is written or a handler runs.
type rooms struct {
	hooks roomHooks

	mu   sync.Mutex // guards the fields below
	conn *Conn      // on which rooms are joined; nil between connections
	all  map[string]*room
}

func newRooms(hooks roomHooks) *rooms {
	return &rooms{hooks: hooks, all: make(map[string]*room)}
}

// follow begins to follow a room, and joins it.
func (l *rooms) follow(name string, f Follow, after protocol.Cursor) (*room, error) {
	r, c, err := l.add(name, f, after)
	if err != nil {
		return nil, err
	}
	if c != nil {
		r.join(c)
	}
	return r, nil
}

// add adds a room that the caller follows, in place of one that it does not follow.
func (l *rooms) add(name string, f Follow, after protocol.Cursor) (*room, *Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.all[name]; old != nil {
		if old.followed() {
			return nil, nil, fmt.Errorf("room %q is followed already", name)
		}
		old.leave()
	}
	r := newRoom(name, f, after, &l.hooks)
	r.conn = l.conn
	l.all[name] = r
	return r, l.conn, nil
}

// leave leaves a room.
func (l *rooms) leave(name string) {
	r, c := l.remove(name)
	l.hooks.changed()
	if r != nil && c != nil {
		_ = c.Request(protocol.LeaveCommand{Room: name}, func(Event) {})
	}
}

func (l *rooms) remove(name string) (*room, *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.all[name]
	if r != nil {
		r.leave()
		delete(l.all, name)
	}
	return r, l.conn
}

// enter returns a room that the caller sends to. It joins the room, if the Session is
// not in it.
func (l *rooms) enter(name string) *room {
	r, c := l.getOrAdd(name)
	if c != nil {
		r.enter(c)
	}
	return r
}

func (l *rooms) getOrAdd(name string) (*room, *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.all[name]
	if r == nil {
		r = newRoom(name, Follow{}, protocol.Cursor{}, &l.hooks)
		r.conn = l.conn
		l.all[name] = r
	}
	return r, l.conn
}

// get returns a room; nil if the Session is not in it.
func (l *rooms) get(name string) *room {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[name]
}

// helloJoins returns the rooms for a hello to join with their cursors, as many as
// certainly fit into a frame; resume joins the others.
func (l *rooms) helloJoins() map[string]string {
	const most, each = 2048, len(`"":"",`)
	l.mu.Lock()
	defer l.mu.Unlock()
	joins := make(map[string]string)
	size := 0
	for name, r := range l.all {
		after, ok := r.helloJoin()
		if size += len(name) + len(after) + each; size > most {
			break
		}
		if ok {
			joins[name] = after
		}
	}
	return joins
}

// attach begins with a new connection. It returns the rooms that its hello joins and
// the Session has left meanwhile.
func (l *rooms) attach(c *Conn) (leave []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = c
	for _, r := range l.all {
		r.attach(c)
	}
	for name := range c.joins {
		if l.all[name] == nil {
			leave = append(leave, name)
		}
	}
	return leave
}

// resume joins the rooms that the hello of a new connection does not join, and leaves
// those that attach returned.
func (l *rooms) resume(c *Conn, leave []string) {
	for _, name := range leave {
		_ = c.Request(protocol.LeaveCommand{Room: name}, func(Event) {})
	}
	for _, r := range l.list() {
		r.join(c)
	}
}

func (l *rooms) list() []*room {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*room, 0, len(l.all))
	for _, r := range l.all {
		list = append(list, r)
	}
	return list
}

// detach ends the use of a connection.
func (l *rooms) detach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = nil
	for _, r := range l.all {
		r.detach()
	}
}

// catchingUp reports whether the node is still sending the rest of a joined, behind
// which replies wait.
func (l *rooms) catchingUp(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.all {
		if r.catchingUp(c) {
			return true
		}
	}
	return false
}

// handle handles an event about a room; handled is false if the event is no concern of
// any. An error means that the node violates the protocol. Only the connection's reader
// calls it.
func (l *rooms) handle(c *Conn, e Event) (handled bool, err error) {
	switch e.Type {
	case protocol.MessageName:
		entry, err := decodeEntry(e.Raw)
		if err != nil {
			return true, err
		}
		if r := l.get(entry.Room); r != nil {
			r.live(c, entry)
		}
		return true, nil
	case protocol.ResetName:
		var reset protocol.ResetEvent
		if err := e.Decode(&reset); err != nil {
			return true, err
		}
		if r := l.get(reset.Room); r != nil {
			r.reset(c)
		}
		return true, nil
	case protocol.JoinedName:
		var joined protocol.JoinedEvent
		if err := e.Decode(&joined); err != nil {
			return true, err
		}
		if r := l.get(joined.Room); r != nil {
			return r.helloReply(c, e)
		}
	case protocol.ErrorName:
		if r := l.get(e.Refused().Room); r != nil {
			return r.helloReply(c, e)
		}
	}
	return false, nil
}
