package socketio

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/engineio"
)

// Errors of an acknowledgement that does not come.
var (
	// ErrTimeout means that the client took too long.
	ErrTimeout = errors.New("the client has not acknowledged in time")
	// ErrDisconnected means that the socket is gone.
	ErrDisconnected = errors.New("the client is disconnected")
	// ErrTooManyAcks means that too many are waited for already.
	ErrTooManyAcks = errors.New("too many acknowledgements are waited for")
)

// A socket is connecting until its client has been told that it is connected.
const (
	connecting = iota
	connected
	gone
)

// Socket is one client in one namespace. Its methods may be called by any
// goroutine, and none of them blocks; when the client is gone they do nothing.
type Socket struct {
	client    *client
	id        string
	namespace string
	handler   Handler // set before anything is handled
	state     atomic.Int32

	mu        sync.Mutex // guards the fields below, and changes of state
	held      []*engineio.Message
	heldBytes int
	leaving   bool // Disconnect was called while connecting
	acks      map[uint64]*waiting
	nextAck   uint64
}

// waiting is an acknowledgement that is waited for.
type waiting struct {
	done  func(Reply, error)
	timer *time.Timer
}

// idBytes is how many random bytes a socket's id has.
const idBytes = 15

func newSocket(c *client, namespace string) *Socket {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return &Socket{client: c, id: base64.RawURLEncoding.EncodeToString(b[:]), namespace: namespace}
}

// ID is the socket's own, which the client knows as socket.id. It is not the
// session's, and no secret.
func (s *Socket) ID() string { return s.id }

// Namespace is the name of the one that the socket is in.
func (s *Socket) Namespace() string { return s.namespace }

// Admitted is what the Admit of the Config returned for the connection.
func (s *Socket) Admitted() any { return s.client.admitted }

// Transport is what the connection goes over now, "polling" or "websocket".
func (s *Socket) Transport() string { return s.client.session.Transport() }

// Pending is how many bytes wait for the client to take them.
func (s *Socket) Pending() int {
	if s.state.Load() == connected {
		return s.client.session.Pending()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client.session.Pending() + s.heldBytes
}

// Unsent is Pending, and what the system has not sent yet
// (engineio.Session.Unsent).
func (s *Socket) Unsent() int {
	if s.state.Load() == connected {
		return s.client.session.Unsent()
	}
	return s.Pending()
}

// Send sends an event. A client that has too much waiting already is closed
// instead.
func (s *Socket) Send(e *Encoded) {
	if s.state.Load() == connected {
		s.client.session.Send(e.parts...)
		return
	}
	s.hold(e, s.client.session.Send)
}

// Answer sends an event that answers what the client sent: it does not count
// towards the bound past which a slow client is closed (engineio.Session.Answer).
func (s *Socket) Answer(e *Encoded) {
	if s.state.Load() == connected {
		s.client.session.Answer(e.parts...)
		return
	}
	s.hold(e, s.client.session.Answer)
}

// hold keeps what is sent to a client that does not know yet that it is
// connected.
func (s *Socket) hold(e *Encoded, send func(...*engineio.Message)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state.Load() {
	case connected: // just now
		send(e.parts...)
	case connecting:
		if s.heldBytes += e.size; s.heldBytes > s.client.server.cfg.Engine.OutboxLimit && len(s.held) > 0 {
			s.client.session.Abort(engineio.ReasonSlow)
			return
		}
		s.held = append(s.held, e.parts...)
	}
}

// Emit sends an event of arguments that become JSON; what is a []byte becomes an
// attachment.
func (s *Socket) Emit(name string, args ...any) error {
	e, err := EncodeEvent(s.namespace, name, args...)
	if err == nil {
		s.Send(e)
	}
	return err
}

// Reply is what a client acknowledged with.
type Reply struct {
	// Args are good until the return of what is handed them; the attachments may
	// be kept.
	Args        []jsontext.Value
	Attachments [][]byte
}

// EmitWithAck sends an event, and has done called, once, with the client's
// acknowledgement or with why there is none: ErrTimeout or ErrDisconnected. done
// may be called by any goroutine, and must not block.
func (s *Socket) EmitWithAck(within time.Duration, done func(Reply, error), name string, args ...any) error {
	s.mu.Lock()
	if s.state.Load() == gone {
		s.mu.Unlock()
		return ErrDisconnected
	}
	if len(s.acks) >= s.client.server.cfg.MaxPendingAcks {
		s.mu.Unlock()
		return ErrTooManyAcks
	}
	id := s.nextAck
	s.nextAck++
	if s.acks == nil {
		s.acks = make(map[uint64]*waiting)
	}
	w := &waiting{done: done}
	s.acks[id] = w
	w.timer = time.AfterFunc(within, func() { s.settle(id, Reply{}, ErrTimeout) }) // stopped by the acknowledgement, or the end
	s.mu.Unlock()
	e, err := encodeCall(s.namespace, id, name, args)
	if err != nil {
		s.take(id)
		return err
	}
	s.Send(e)
	return nil
}

// take takes the wait for an acknowledgement off; nil where there is none, or no
// more.
func (s *Socket) take(id uint64) *waiting {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.acks[id]
	if w == nil {
		return nil
	}
	delete(s.acks, id)
	if len(s.acks) == 0 {
		s.acks = nil // a map does not shrink by itself
	}
	w.timer.Stop()
	return w
}

func (s *Socket) settle(id uint64, r Reply, err error) {
	if w := s.take(id); w != nil {
		w.done(r, err)
	}
}

// acked takes a client's acknowledgement. One that nobody waits for may just be
// late.
func (s *Socket) acked(id uint64, r Reply) { s.settle(id, r, nil) }

// Disconnect takes the client out of the namespace, and tells it; official clients
// don't come back by themselves then. The connection stays. The handler is told
// soon after.
func (s *Socket) Disconnect() {
	s.mu.Lock()
	switch s.state.Load() {
	case connecting:
		s.leaving = true
		s.mu.Unlock()
		return
	case gone:
		s.mu.Unlock()
		return
	}
	s.client.session.Answer(short(Disconnect, s.namespace).parts...)
	s.state.Store(gone)
	s.mu.Unlock()
	s.client.session.Later(func() { s.leave(ReasonServerLeft) })
}

// Close ends the connection with all its sockets, after what was sent before.
// Official clients connect again after that, unless they were disconnected. On a
// WebSocket the code and the reason stand in the close frame.
func (s *Socket) Close(code int, reason string) { s.client.session.Close(code, reason) }

// open tells the client that it is connected, and what was sent to it before.
func (s *Socket) open() {
	s.mu.Lock()
	s.client.session.Answer(short(Connect, s.namespace, `{"sid":"`, s.id, `"}`).parts...)
	if len(s.held) > 0 {
		s.client.session.Answer(s.held...)
	}
	s.held, s.heldBytes = nil, 0
	s.state.Store(connected)
	leaving := s.leaving
	s.mu.Unlock()
	if leaving {
		s.Disconnect()
	}
}

// drop has nothing sent any more.
func (s *Socket) drop() {
	s.mu.Lock()
	s.state.Store(gone)
	s.held = nil
	acks := s.acks
	s.acks = nil
	s.mu.Unlock()
	for _, w := range acks {
		w.timer.Stop()
		w.done(Reply{}, ErrDisconnected)
	}
}

// leave takes the socket off its connection, and tells the handler. It is called
// where the handler is told things.
func (s *Socket) leave(reason Reason) {
	if !s.client.remove(s) {
		return
	}
	s.client.server.sockets.Add(-1)
	s.drop()
	s.handler.Disconnected(reason)
}
