package engineio

import (
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/conn"
)

// Session is one client's. Its methods may be called by any goroutine, and none
// of them blocks; after the session's end they do nothing.
type Session struct {
	server  *Server
	id      string
	handler Handler // set before anything is read

	// in is held while the handler is told something, and is taken before mu.
	in sync.Mutex

	mu     sync.Mutex // guards the fields below
	socket *conn.Conn // what the session goes over; nil while it polls
	// probe is the WebSocket that is about to take over, if there is one. asked
	// is true once it has sent its probe: then polls are let go soon. answer
	// waits until the POST that is being handled is.
	probe  *link
	asked  bool
	answer bool

	queue   []*Message    // for the next poll
	waiting int           // bytes in queue
	answers int           // those of them that are answers
	drained chan struct{} // closed when the queue is within its limit; nil while nobody waits
	poll    chan struct{} // wakes the GET that waits; nil while there is none
	polling claim         // that GET's
	left    chan struct{} // closed when that GET is over; nil while nobody waits for that
	polled  chan struct{} // closed when a GET comes; nil while nobody waits for that
	handed  *handout      // what the last GET was answered, until the next answer
	posting bool          // a POST is being served
	second  bool          // and another one waits for its end
	newest  *post         // the last POST whose body came, or the one being served
	marks   marks         // what the client's marks say

	entered bool // it is in the server's table, or was

	over   bool     // nothing more is taken or sent
	gone   bool     // and nothing is left to hand out
	reason Reason   // of the end
	last   *Message // what the last poll gets after the queue

	heard    time.Time // when the last packet came, or was handled
	handling bool      // the handler has a message: no other packet is read meanwhile
	nextPing time.Time
	pongBy   time.Time // until when something must be heard; zero without a ping under way
	clock    *time.Timer
}

func newSession(server *Server, socket *conn.Conn) *Session {
	now := time.Now()
	s := &Session{
		server: server, id: newID(server.cfg.Owner), socket: socket,
		heard: now, nextPing: now.Add(server.cfg.PingInterval), last: closePacket,
	}
	return s
}

// begin enters the session and has its handler made; false when the server is
// closed.
func (s *Session) begin(r *http.Request, admitted any) bool {
	s.in.Lock()
	defer s.in.Unlock()
	s.mu.Lock()
	s.push(textPacket(kindOpen, s.server.hello(s.id, s.socket == nil)))
	s.clock = time.AfterFunc(time.Until(s.nextPing), s.tick) // stopped at the end
	s.entered = s.server.add(s)
	if !s.entered {
		s.endLocked(ReasonServer, false)
	}
	entered := s.entered
	s.mu.Unlock()
	if !entered {
		return false
	}
	s.call(func() { s.handler = s.server.cfg.Open(s, r, admitted) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over { // the time that Open took is not the client's
		s.heard = time.Now()
		s.nextPing, s.pongBy = s.heard.Add(s.server.cfg.PingInterval), time.Time{}
		s.clock.Reset(s.server.cfg.PingInterval)
	}
	return true
}

// ID is the session's id. Who knows it can take the session over.
func (s *Session) ID() string { return s.id }

// Transport is what the session goes over now, "polling" or "websocket".
func (s *Session) Transport() string {
	if s.upgraded() {
		return "websocket"
	}
	return "polling"
}

func (s *Session) upgraded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.socket != nil
}

// Send sends messages; none comes between them. A client that has too much
// waiting already is closed instead.
func (s *Session) Send(messages ...*Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if s.socket != nil {
		for _, m := range messages {
			s.socket.Send(m.frame)
		}
		return
	}
	size := 0
	for _, m := range messages {
		size += len(m.polled())
	}
	if s.waiting > 0 && s.waiting+size > s.server.cfg.OutboxLimit+s.answers {
		s.server.slow.Add(1)
		s.endLocked(ReasonSlow, false)
		return
	}
	s.push(messages...)
}

// Answer sends messages that answer what the client sent: however large, they do
// not count towards the bound past which a slow client is closed. In return no
// more is taken from a client that has too many answers waiting.
func (s *Session) Answer(messages ...*Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if s.socket == nil {
		for _, m := range messages {
			s.answers += len(m.polled())
		}
	}
	s.push(messages...)
}

// push hands messages over, whatever waits already. It wants the lock held.
func (s *Session) push(messages ...*Message) {
	if s.socket != nil {
		for _, m := range messages {
			s.socket.Answer(m.frame)
		}
		return
	}
	for _, m := range messages {
		s.waiting += len(m.polled())
	}
	s.queue = append(s.queue, messages...)
	s.wakeLocked()
}

// wakeLocked has the GET that waits look again.
func (s *Session) wakeLocked() {
	if s.poll != nil {
		select {
		case s.poll <- struct{}{}:
		default:
		}
	}
}

// takeLocked empties the queue.
func (s *Session) takeLocked() []*Message {
	all := s.queue
	s.queue, s.waiting, s.answers = nil, 0, 0
	s.tellDrainedLocked()
	return all
}

// maxPolled bounds the answer to one poll, but for a single message that is
// longer: a client on a slow line hears nothing until an answer is complete.
const maxPolled = 32 << 10

// takePartLocked takes as much of the queue as the answer to one poll holds.
func (s *Session) takePartLocked() []*Message {
	n, size := 0, 0
	for n < len(s.queue) && (n == 0 || size+len(s.queue[n].polled()) < maxPolled) {
		size += len(s.queue[n].polled()) + 1
		n++
	}
	if n == len(s.queue) {
		return s.takeLocked()
	}
	part := s.queue[:n:n]
	s.queue = s.queue[n:]
	for _, m := range part {
		s.waiting -= len(m.polled())
	}
	s.answers = min(s.answers, s.waiting)
	if s.waiting <= s.server.cfg.OutboxLimit {
		s.tellDrainedLocked()
	}
	return part
}

func (s *Session) tellDrainedLocked() {
	if s.drained != nil {
		close(s.drained)
		s.drained = nil
	}
}

// Pending is how many bytes wait for the client to take them.
func (s *Session) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket != nil {
		return s.socket.Pending()
	}
	return s.waiting
}

// Unsent is Pending, and on a WebSocket what the system has not sent yet
// (conn.Conn.Unsent).
func (s *Session) Unsent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket != nil {
		return s.socket.Unsent()
	}
	return s.waiting
}

// Close ends the session after what was sent before. On a WebSocket the code and
// the reason stand in the close frame; polling has no place for them.
func (s *Session) Close(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket != nil {
		s.socket.Close(code, reason) // the first close counts
	}
	s.endLocked(ReasonServer, true)
}

// Abort ends the session at once; what waits for a poll is dropped. It is for
// clients that break the protocol inside, and for those that say nothing.
func (s *Session) Abort(reason Reason) { s.end(reason) }

// Later calls f in a goroutine of its own, but not while the handler is told
// something. The goroutine ends with f.
func (s *Session) Later(f func()) {
	go func() {
		s.in.Lock()
		defer s.in.Unlock()
		s.call(f)
	}()
}

// call has the handler do something. A panic is caught and ends the session.
func (s *Session) call(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.server.panics.Add(1)
			s.server.cfg.Log.Error("a session ended by a panic", "panic", p, "stack", string(debug.Stack()))
			s.end(ReasonServer)
		}
	}()
	f()
}

// closeCodes are for the WebSocket's close frame.
var closeCodes = map[Reason]int{
	ReasonClient:    websocket.CloseNormalClosure,
	ReasonTransport: websocket.ClosePolicyViolation,
	ReasonPing:      websocket.CloseGoingAway,
	ReasonParse:     websocket.ClosePolicyViolation,
	ReasonServer:    websocket.CloseGoingAway,
	ReasonSlow:      websocket.ClosePolicyViolation,
}

// end ends the session at once: what waits for a poll is dropped.
func (s *Session) end(reason Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason, false)
}

// endLocked ends the session. With keep, a polling one stays known until a poll
// has taken what waits, or the linger is over. The handler is told by a goroutine
// of its own, or by the WebSocket when that is closed.
func (s *Session) endLocked(reason Reason, keep bool) {
	if s.over {
		return
	}
	s.over, s.reason = true, reason
	s.tellDrainedLocked()
	if s.socket != nil {
		s.clock.Stop()
		s.socket.Close(closeCodes[reason], string(reason))
		return
	}
	if s.probe != nil {
		s.probe.conn.Close(closeCodes[reason], string(reason))
	}
	if !keep {
		s.takeLocked()
	}
	if keep && s.poll == nil {
		s.clock.Reset(s.server.cfg.Linger)
	} else {
		s.goneLocked()
	}
	s.wakeLocked()
	if s.entered {
		go s.tellEnd() // ends with the handler; the server's Close waits for it
	}
}

// goneLocked forgets a session that is over.
func (s *Session) goneLocked() {
	s.gone = true
	s.clock.Stop()
	if s.entered {
		s.server.remove(s.id)
	}
}

// tellEnd tells the handler that the session is over.
func (s *Session) tellEnd() {
	defer s.server.handlers.Done()
	s.in.Lock()
	defer s.in.Unlock()
	if s.handler != nil { // Open did not panic
		s.call(func() { s.handler.Closed(s.reason) })
	}
}

// lost tells that the session's WebSocket is gone.
func (s *Session) lost(reason Reason) {
	s.mu.Lock()
	if !s.over {
		s.over, s.reason = true, reason
	}
	s.goneLocked()
	entered := s.entered
	s.mu.Unlock()
	if entered {
		s.tellEnd()
	}
}

// packet takes one packet of the client; in is held. It returns false when no
// further one is taken.
func (s *Session) packet(k kind, data []byte) bool {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	s.heard = time.Now()
	switch k {
	case kindPing: // that was revision 3: here the server pings
		s.endLocked(ReasonTransport, false)
	case kindPong:
		s.pongBy = time.Time{}
		s.nextPing = s.heard.Add(s.server.cfg.PingInterval)
		s.clock.Reset(s.server.cfg.PingInterval)
	case kindClose:
		s.last = noopPacket
		s.endLocked(ReasonClient, false)
	}
	if s.over || k != kindMessage && k != kindBinary {
		over := s.over
		s.mu.Unlock()
		return !over
	}
	s.handling = true
	s.mu.Unlock()
	s.call(func() { s.handler.Message(data, k == kindBinary) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handling, s.heard = false, time.Now()
	return !s.over
}

// tick is called by the clock, when something may be due.
func (s *Session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tickLocked()
}

func (s *Session) tickLocked() {
	now := time.Now()
	switch {
	case s.gone:
		return
	case s.over:
		if s.socket == nil { // nobody came for the rest
			s.goneLocked()
		}
		return
	case s.pongBy.IsZero() && !now.Before(s.nextPing):
		if s.socket != nil {
			s.socket.Pinged()
		}
		s.push(pingPacket)
		s.pongBy = s.nextPing.Add(s.server.cfg.PingTimeout)
		if late := now.Sub(s.nextPing); late > s.server.cfg.PingTimeout/2 {
			s.pongBy = now.Add(s.server.cfg.PingTimeout) // our delay is not the client's
		}
	}
	if !s.pongBy.IsZero() && !now.Before(s.pongBy) {
		if s.handling || s.socket != nil && s.socket.Behind() {
			s.heard = now // the pong may be here and can't be read, or waits behind much else
		}
		if s.socket != nil && s.socket.Heard().After(s.heard) {
			s.heard = s.socket.Heard()
		}
		s.pongBy = s.heard.Add(s.server.cfg.PingTimeout)
		if !now.Before(s.pongBy) {
			s.endLocked(ReasonPing, false)
			return
		}
	}
	due := s.nextPing
	if !s.pongBy.IsZero() {
		due = s.pongBy
	}
	s.clock.Reset(time.Until(due))
}

// expired looks whether the session has ended; what is due is done before, so
// that the answer does not hang on how soon the clock is heard.
func (s *Session) expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		now := time.Now()
		if !now.Before(s.nextPing) && s.pongBy.IsZero() || !s.pongBy.IsZero() && !now.Before(s.pongBy) {
			s.tickLocked()
		}
	}
	return s.gone || s.over && s.socket != nil
}
