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

// Errors of an acknowledgement that does not arrive.
var (
	// ErrTimeout means that the client took too long.
	ErrTimeout = errors.New("the client has not acknowledged in time")
	// ErrDisconnected means that the socket is gone.
	ErrDisconnected = errors.New("the client is disconnected")
	// ErrTooManyAcks means that too many are outstanding.
	ErrTooManyAcks = errors.New("too many acknowledgements are waited for")
)

// A socket is connecting until its client has got the confirmation.
const (
	connecting = iota
	connected
	gone
)

// Socket is one client in one namespace. Its methods are safe for concurrent use, and
// none of them blocks; when the client is gone they do nothing.
type Socket struct {
	client    *client
	id        string
	namespace string
	handler   Handler // set before the first event
	state     atomic.Int32

	mu        sync.Mutex // guards the fields below, and changes of state
	held      []*engineio.Message
	heldBytes int
	leaving   bool // Disconnect was called while connecting
	acks      map[uint64]*waiting
	nextAck   uint64
}

// waiting is an outstanding acknowledgement.
type waiting struct {
	done  func(Reply, error)
	timer *time.Timer
}

// idBytes is the number of random bytes of a socket's id.
const idBytes = 15

func newSocket(c *client, namespace string) *Socket {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return &Socket{client: c, id: base64.RawURLEncoding.EncodeToString(b[:]), namespace: namespace}
}

// ID returns the socket's id, which the client knows as socket.id. It is not the
// session's id, and no secret.
func (s *Socket) ID() string { return s.id }

// Namespace returns the name of the socket's namespace.
func (s *Socket) Namespace() string { return s.namespace }

// Admitted returns the result of the Config's Admit for the connection.
func (s *Socket) Admitted() any { return s.client.admitted }

// Transport returns the connection's current transport, "polling" or "websocket".
func (s *Socket) Transport() string { return s.client.session.Transport() }

// Pending returns how many bytes wait for the client.
func (s *Socket) Pending() int {
	if s.state.Load() == connected {
		return s.client.session.Pending()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client.session.Pending() + s.heldBytes
}

// Unsent returns Pending plus the bytes that the kernel has not sent yet
// (engineio.Session.Unsent).
func (s *Socket) Unsent() int {
	if s.state.Load() == connected {
		return s.client.session.Unsent()
	}
	return s.Pending()
}

// Send sends an event. A client with too much waiting already is closed instead.
func (s *Socket) Send(e *Encoded) {
	if s.state.Load() == connected {
		s.client.session.Send(e.parts...)
		return
	}
	s.hold(e, s.client.session.Send)
}

// Answer sends an event that answers the client. It does not count towards the limit of
// slow clients (engineio.Session.Answer).
func (s *Socket) Answer(e *Encoded) {
	if s.state.Load() == connected {
		s.client.session.Answer(e.parts...)
		return
	}
	s.hold(e, s.client.session.Answer)
}

// hold queues a packet of a client that has not got the confirmation of its connect yet,
// and sends it if the client has got that meanwhile.
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

// Emit sends an event with arguments that become JSON; a []byte becomes an attachment.
func (s *Socket) Emit(name string, args ...any) error {
	e, err := EncodeEvent(s.namespace, name, args...)
	if err == nil {
		s.Send(e)
	}
	return err
}

// Reply is a client's acknowledgement.
type Reply struct {
	// Args are valid until the return of done; the attachments may be kept.
	Args        []jsontext.Value
	Attachments [][]byte
}

// EmitWithAck sends an event, and calls done once, with the client's acknowledgement,
// or with ErrTimeout or ErrDisconnected. done may be called by any goroutine, and must
// not block.
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

// take removes an outstanding acknowledgement; nil if there is none.
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

// acked handles a client's acknowledgement. One that is not outstanding may be late.
func (s *Socket) acked(id uint64, r Reply) { s.settle(id, r, nil) }

// Disconnect disconnects the client from the namespace; official clients do not
// reconnect by themselves then. The connection stays. The handler's Disconnected is
// called soon after.
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

// Close ends the connection with all its sockets, after the packets sent before.
// Official clients reconnect after that, unless they were disconnected. On a WebSocket
// the close frame has the code and the reason.
func (s *Socket) Close(code int, reason string) { s.client.session.Close(code, reason) }

// open sends the client the confirmation of its connect, and then what is queued.
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

// drop discards what is sent from now on.
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

// leave removes the socket from its connection, and calls the handler's Disconnected.
// It must be called where handlers are called.
func (s *Socket) leave(reason Reason) {
	if !s.client.remove(s) {
		return
	}
	s.client.server.sockets.Add(-1)
	s.drop()
	s.handler.Disconnected(reason)
}
