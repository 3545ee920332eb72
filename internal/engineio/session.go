package engineio

import (
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/conn"
)

// Session is the session of one client. Its methods are safe for concurrent use, and
// none of them blocks; after the session's end they do nothing.
type Session struct {
	server  *Server
	id      string
	handler Handler // set before anything is read

	// in is held while the handler is called, and is taken before mu.
	in sync.Mutex

	mu     sync.Mutex // guards the fields below
	socket *conn.Conn // the WebSocket of the session; nil while it polls
	// probe is the WebSocket of an upgrade, if there is one. asked is true once it has
	// sent its probe: then polls are answered soon. answer: the reply to the probe
	// waits until the current POST has been handled.
	probe  *link
	asked  bool
	answer bool

	queue   []*Message    // for the next poll
	waiting int           // bytes in queue
	answers int           // those of them that are answers
	drained chan struct{} // closed when the queue is within its limit; nil unless a goroutine waits for that
	poll    chan struct{} // wakes the waiting GET; nil if there is none
	polling claim         // the claim of that GET
	left    chan struct{} // closed when that GET has ended; nil unless a goroutine waits for that
	polled  chan struct{} // closed when a GET arrives; nil unless a goroutine waits for that
	handed  *handout      // the answer to the last GET
	posting bool          // a POST is being served
	second  bool          // another one waits for its end
	newest  *post         // the last POST with a complete body, or the current one
	marks   marks         // the use of the client's marks

	entered bool // it is or was in the server's table

	over   bool     // no more input or output
	gone   bool     // and nothing is left to send
	reason Reason   // of the end
	last   *Message // for the last poll, after the queue

	heard    time.Time // when the last packet arrived or was handled
	handling bool      // the handler is running: no other packet is read meanwhile
	nextPing time.Time
	pongBy   time.Time // deadline for any packet; zero without an unanswered ping
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

// begin adds the session to the server and calls Open; false if the server is closed.
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
	if !s.over { // the duration of Open does not count against the client
		s.heard = time.Now()
		s.nextPing, s.pongBy = s.heard.Add(s.server.cfg.PingInterval), time.Time{}
		s.clock.Reset(s.server.cfg.PingInterval)
	}
	return true
}

// ID returns the session's id. It is a secret: whoever has it can use the session.
func (s *Session) ID() string { return s.id }

// Transport returns the current transport, "polling" or "websocket".
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

// Send sends messages without others between them. A client with too much waiting
// already is closed instead.
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

// Answer sends messages that answer the client. They do not count towards the limit of
// slow clients, however large; instead, no more input is handled while the client has
// too many answers waiting.
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

// push queues messages or writes them to the WebSocket, without a limit. It requires
// the lock.
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

// wakeLocked makes the waiting GET check the queue.
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

// maxPolled bounds the answer to one poll, except for a single longer message: on a
// slow link the client knows nothing until an answer is complete.
const maxPolled = 32 << 10

// takePartLocked removes as much of the queue as one answer holds.
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

// Pending returns how many bytes wait for the client.
func (s *Session) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket != nil {
		return s.socket.Pending()
	}
	return s.waiting
}

// Unsent returns Pending plus, on a WebSocket, the bytes that the kernel has not sent
// yet (conn.Conn.Unsent).
func (s *Session) Unsent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket != nil {
		return s.socket.Unsent()
	}
	return s.waiting
}

// Close ends the session after the messages sent before. On a WebSocket the close frame
// has the code and the reason; polling has no place for them.
func (s *Session) Close(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket != nil {
		s.socket.Close(code, reason) // the first close counts
	}
	s.endLocked(ReasonServer, true)
}

// Abort ends the session at once and drops what waits for a poll. It is for clients
// that violate the inner protocol, and for silent ones.
func (s *Session) Abort(reason Reason) { s.end(reason) }

// Later calls f in a new goroutine, but not while the handler is running. The goroutine
// ends with f.
func (s *Session) Later(f func()) {
	go func() {
		s.in.Lock()
		defer s.in.Unlock()
		s.call(f)
	}()
}

// call calls the handler. A panic is recovered and ends the session.
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

// closeCodes are the codes of the WebSocket's close frame.
var closeCodes = map[Reason]int{
	ReasonClient:    websocket.CloseNormalClosure,
	ReasonTransport: websocket.ClosePolicyViolation,
	ReasonPing:      websocket.CloseGoingAway,
	ReasonParse:     websocket.ClosePolicyViolation,
	ReasonServer:    websocket.CloseGoingAway,
	ReasonSlow:      websocket.ClosePolicyViolation,
}

// end ends the session at once and drops what waits for a poll.
func (s *Session) end(reason Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason, false)
}

// endLocked ends the session. With keep, a polling one stays known until a poll has
// taken what waits, or the linger is over. A new goroutine calls the handler's Closed,
// or the WebSocket does when it has closed.
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

// goneLocked removes an ended session.
func (s *Session) goneLocked() {
	s.gone = true
	s.clock.Stop()
	if s.entered {
		s.server.remove(s.id)
	}
}

// tellEnd calls the handler's Closed.
func (s *Session) tellEnd() {
	defer s.server.handlers.Done()
	s.in.Lock()
	defer s.in.Unlock()
	if s.handler != nil { // nil if Open panicked
		s.call(func() { s.handler.Closed(s.reason) })
	}
}

// lost handles the end of the session's WebSocket.
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

// packet handles one packet of the client; in is held. It returns false if no further
// one may follow.
func (s *Session) packet(k kind, data []byte) bool {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	s.heard = time.Now()
	switch k {
	case kindPing: // revision 3: in revision 4 the server pings
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

// tick is called by the clock when a deadline may be due.
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
		if s.socket == nil { // no poll took the rest
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
			s.pongBy = now.Add(s.server.cfg.PingTimeout) // the delay on this side does not count against the client
		}
	}
	if !s.pongBy.IsZero() && !now.Before(s.pongBy) {
		if s.handling || s.socket != nil && s.socket.Behind() {
			s.heard = now // the pong may have arrived unread, or waits behind much else
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

// expired reports whether the session has ended, after doing what is due, so that the
// result does not depend on the delay of the clock.
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
