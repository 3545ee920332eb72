package engineio

import (
	"net/http"
	"runtime/debug"
	"sync"
)

// dispatcher calls a session's handler, one call at a time.
type dispatcher struct {
	session *Session
	mu      sync.Mutex // held while the handler is called; locked before the session's mutex
	handler Handler    // nil until Open has returned; guarded by mu
}

// open makes the handler; mu is held.
func (d *dispatcher) open(r *http.Request, admitted any) {
	d.call(func() { d.handler = d.session.server.cfg.Open(d.session, r, admitted) })
}

// packet handles one packet of the client; mu is held. It returns false if no further
// one may follow.
func (d *dispatcher) packet(k kind, data []byte) bool {
	message, more := d.begin(k)
	if !message {
		return more
	}
	d.call(func() { d.handler.Message(data, k == kindBinary) })
	return d.end()
}

// begin handles the packets of the protocol itself. It reports whether the packet is a
// message, for the handler, and whether another packet may follow.
func (d *dispatcher) begin(k kind) (message, more bool) {
	s := d.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false, false
	}
	s.beat.hear()
	switch k {
	case kindPing: // revision 3: in revision 4 the server pings
		s.endLocked(ReasonTransport, false)
	case kindPong:
		s.beat.restart()
	case kindClose:
		s.last = noopPacket
		s.endLocked(ReasonClient, false)
	case kindMessage, kindBinary:
		s.beat.handling = true
		return true, true
	}
	return false, !s.ended
}

// end records that a message was handled, and reports whether another packet may follow.
func (d *dispatcher) end() bool {
	s := d.session
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat.handling = false
	s.beat.hear()
	return !s.ended
}

// later calls f when no other call is running.
func (d *dispatcher) later(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.call(f)
}

// closed calls the handler's Closed.
func (d *dispatcher) closed(reason Reason) {
	defer d.session.server.handlers.Done()
	d.later(func() {
		if d.handler != nil { // nil if Open panicked
			d.handler.Closed(reason)
		}
	})
}

// call calls the handler. A panic is recovered and ends the session.
func (d *dispatcher) call(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s := d.session
			s.server.panics.Add(1)
			s.server.cfg.Log.Error("a session ended by a panic", "panic", p, "stack", string(debug.Stack()))
			s.end(ReasonServer)
		}
	}()
	f()
}
