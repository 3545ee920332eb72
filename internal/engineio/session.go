package engineio

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/conn"
)

// Session is the session of one client. Its methods are safe for concurrent use, and
// none of them blocks; after the session's end they do nothing.
type Session struct {
	server *Server
	id     string
	calls  dispatcher // calls the handler

	mu      sync.Mutex // guards the fields below, and what is in them
	out     outbox     // what the client gets
	beat    heartbeat  // pings, and the time that the client has to answer them
	polls   polls      // its GETs
	posts   posts      // its POSTs
	marks   marks      // the use of the client's marks
	upgrade upgrade    // from polling to a WebSocket

	entered bool     // it is or was in the server's table
	ended   bool     // no more input or output
	removed bool     // and nothing is left to send
	reason  Reason   // of the end
	last    *Message // for the last poll, after the queue
}

func newSession(server *Server, socket *conn.Conn) *Session {
	s := &Session{server: server, id: newID(server.cfg.Owner), last: closePacket}
	s.calls.session, s.polls.session, s.posts.session, s.upgrade.session = s, s, s, s
	s.out.cfg, s.out.socket = &server.cfg, socket
	s.beat = newHeartbeat(&server.cfg)
	return s
}

// begin adds the session to the server and calls Open; false if the server is closed.
func (s *Session) begin(r *http.Request, admitted any) bool {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	if !s.enter() {
		return false
	}
	s.calls.open(r, admitted)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended { // the duration of Open does not count against the client
		s.beat.restart()
	}
	return true
}

// enter adds the session to the server, and queues the open packet.
func (s *Session) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushLocked(textPacket(kindOpen, s.server.hello(s.id, s.out.socket == nil)))
	s.beat.start(s.tick) // stopped at the end
	s.entered = s.server.add(s)
	if !s.entered {
		s.endLocked(ReasonServer, false)
	}
	return s.entered
}

// ID returns the session's id. It is a secret: any client that has it can use the session.
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
	return s.out.socket != nil
}

// Send sends messages without others between them. A client with too much waiting
// already is closed instead.
func (s *Session) Send(messages ...*Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	if !s.out.send(messages) {
		s.server.slow.Add(1)
		s.endLocked(ReasonSlow, false)
		return
	}
	s.polls.wakeLocked()
}

// Answer sends messages that answer the client. They do not count towards the limit of
// slow clients, however large; instead, no more input is handled while the client has
// too many answers waiting.
func (s *Session) Answer(messages ...*Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.out.answer(messages)
	s.polls.wakeLocked()
}

// pushLocked sends a packet without a limit.
func (s *Session) pushLocked(m *Message) {
	s.out.push([]*Message{m})
	s.polls.wakeLocked()
}

// Pending returns how many bytes wait for the client.
func (s *Session) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.pending()
}

// Unsent returns Pending plus, on a WebSocket, the bytes that the kernel has not sent
// yet (conn.Conn.Unsent).
func (s *Session) Unsent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.unsent()
}

// Close ends the session after the messages sent before. On a WebSocket the close frame
// has the code and the reason; polling has no place for them.
func (s *Session) Close(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out.socket != nil {
		s.out.socket.Close(code, reason) // the first close counts
	}
	s.endLocked(ReasonServer, true)
}

// Abort ends the session at once and drops the queue. It is for clients
// that violate the inner protocol, and for silent ones.
func (s *Session) Abort(reason Reason) { s.end(reason) }

// Later calls f in a new goroutine, but not while the handler is running. The goroutine
// ends with f.
func (s *Session) Later(f func()) { go s.calls.later(f) }

// closeCodes are the codes of the WebSocket's close frame.
var closeCodes = map[Reason]int{
	ReasonClient:    websocket.CloseNormalClosure,
	ReasonTransport: websocket.ClosePolicyViolation,
	ReasonPing:      websocket.CloseGoingAway,
	ReasonParse:     websocket.ClosePolicyViolation,
	ReasonServer:    websocket.CloseGoingAway,
	ReasonSlow:      websocket.ClosePolicyViolation,
}

// end ends the session at once and drops the queue.
func (s *Session) end(reason Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason, false)
}

// endLocked ends the session. With keep, a polling one stays in the server's table
// until a poll has fetched the rest of the queue, or the linger is over. A new goroutine calls the handler's Closed;
// on a WebSocket, link.Closed does once that is closed.
func (s *Session) endLocked(reason Reason, keep bool) {
	if s.ended {
		return
	}
	s.ended, s.reason = true, reason
	s.out.notifyDrained()
	if s.out.socket != nil {
		s.beat.stop()
		s.out.socket.Close(closeCodes[reason], string(reason))
		return
	}
	s.upgrade.cancelLocked(reason)
	if !keep {
		s.out.takeAll()
	}
	if keep && s.polls.waiting == nil {
		s.beat.wake(s.server.cfg.Linger)
	} else {
		s.removeLocked()
	}
	s.polls.wakeLocked()
	if s.entered {
		go s.calls.closed(reason) // ends with the handler; the server's Close waits for it
	}
}

// removeLocked removes an ended session from the server.
func (s *Session) removeLocked() {
	s.removed = true
	s.beat.stop()
	if s.entered {
		s.server.remove(s.id)
	}
}

// disconnected handles the end of the session's WebSocket.
func (s *Session) disconnected(reason Reason) {
	if reason, entered := s.remove(reason); entered {
		s.calls.closed(reason)
	}
}

// remove ends and removes the session. It returns the reason of its first end, and whether
// the server knew it.
func (s *Session) remove(reason Reason) (Reason, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended, s.reason = true, reason
	}
	s.removeLocked()
	return s.reason, s.entered
}

// tick is called by the heartbeat's timer when a deadline may be due.
func (s *Session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tickLocked()
}

func (s *Session) tickLocked() {
	now := time.Now()
	switch {
	case s.removed:
		return
	case s.ended:
		if s.out.socket == nil { // no poll fetched the rest
			s.removeLocked()
		}
		return
	case s.beat.pingDue(now):
		if s.out.socket != nil {
			s.out.socket.Pinged()
		}
		s.pushLocked(pingPacket)
		s.beat.pinged(now)
	}
	if s.beat.timedOut(now, s.out.socket) {
		s.endLocked(ReasonPing, false)
		return
	}
	s.beat.schedule()
}

// expired reports whether the session has ended, after doing what is due, so that the
// result does not depend on the delay of the timer.
func (s *Session) expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); !s.ended && (s.beat.pingDue(now) || s.beat.pongDue(now)) {
		s.tickLocked()
	}
	return s.removed || s.ended && s.out.socket != nil
}

// awaitLocked waits for done or the end of ctx, and releases the lock meanwhile.
func (s *Session) awaitLocked(ctx context.Context, done <-chan struct{}) {
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
