// Package socketio is a server of Socket.IO, revision 5, over package engineio: clients
// connect to namespaces, and both sides send events with JSON or binary arguments, and
// acknowledge them.
//
// Events of a socket arrive in the order in which they were sent, in both directions
// and across transports. An event for many sockets is encoded once. A client is closed
// if it sends an invalid packet or one over a limit, connects to no namespace in time,
// or announces attachments and does not send them in time. Sending never blocks; see
// package engineio for clients that fall behind.
//
// The package has no rooms, broadcasts or adapters: the program decides who gets an
// event. It does not depend on the chat, only on engineio and conn.
package socketio

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/engineio"
)

// Config configures a Server; zero fields get their defaults.
type Config struct {
	// Engine configures the sessions below. Its Open must be nil; the result of its
	// Admit is each socket's Admitted.
	Engine engineio.Config
	// Opened, if set, is called for each connection before its first packet, with the
	// result of Admit and a function that closes the connection
	// (engineio.Session.Close).
	Opened func(admitted any, close func(code int, reason string))
	// Ended, if set, is called for each connection that was Opened when it has ended,
	// whether it was ever connected to a namespace or not, and after the Disconnected
	// of its sockets' handlers.
	Ended func(admitted any)
	// Limits bound what a packet may be.
	Limits Limits
	// ConnectTimeout is how long a client may take to connect to a namespace; default
	// 45 s.
	ConnectTimeout time.Duration
	// AttachmentTime is how long the attachments of an event may take to arrive;
	// default 10 s.
	AttachmentTime time.Duration
	// MaxBinary is the most bytes of the attachments of an event; default twice the
	// largest payload.
	MaxBinary int64
	// MaxPendingAcks is the most outstanding acknowledgements of one socket; default
	// 100.
	MaxPendingAcks int
}

func (c *Config) fill() {
	c.Limits.fill()
	fill(&c.ConnectTimeout, 45*time.Second)
	fill(&c.AttachmentTime, 10*time.Second)
	fill(&c.Engine.OutboxLimit, 256<<10)
	fill(&c.Engine.MaxPayload, 1_000_000)
	fill(&c.MaxBinary, 2*c.Engine.MaxPayload)
	fill(&c.MaxPendingAcks, 100)
}

func fill[T int | int64 | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// ConnectFunc decides about a client that connects to a namespace. Its auth payload is
// an object, or nil if there is none, and valid until the return. Either the client is
// connected, and the handler gets its events; or the client gets the refusal, and may
// try again.
//
// What is sent to the socket before the return is queued behind the confirmation of the
// connect; after a refusal it is dropped. Nothing else of the connection is handled
// meanwhile.
type ConnectFunc func(s *Socket, auth jsontext.Value) (Handler, *Refusal)

// Handler handles a socket's events. One call is made at a time for all sockets of one
// connection.
type Handler interface {
	// Event is called with each event, in order. The event's arguments are valid until
	// the return; its attachments may be kept.
	Event(e *Event)
	// Disconnected is called once, after the last Event.
	Disconnected(reason Reason)
}

// Starter is a Handler with work to do after its client has got the confirmation of the
// connect, and before any of its events is handled: official clients send buffered
// events before their own code learns of the connection.
type Starter interface {
	// Connected is called once, before the first Event.
	Connected()
}

// Refusal is why a client is not connected: a message, and optional data.
type Refusal struct {
	Message string
	Data    jsontext.Value
}

// Reason is why a socket is disconnected, in the words that clients know: one of
// engineio's reasons, or one of these.
type Reason = engineio.Reason

// The reasons for which a socket is disconnected while its connection stays.
const (
	ReasonClientLeft Reason = "client namespace disconnect"
	ReasonServerLeft Reason = "server namespace disconnect"
)

// Stats are the counts of a Server.
type Stats struct {
	// Engine are the counts of the sessions below.
	Engine engineio.Stats
	// Sockets is the number of connected sockets, Refused that of refused connects, and
	// Broken that of connections closed for a violation of the protocol.
	Sockets, Refused, Broken int
}

// Server is an http.Handler that serves clients.
type Server struct {
	cfg        Config
	engine     *engineio.Server
	namespaces map[string]ConnectFunc

	sockets, refused, broken atomic.Int64
}

// NewServer returns a Server of namespaces, by their names; Close ends it.
func NewServer(cfg Config, namespaces map[string]ConnectFunc) *Server {
	cfg.fill()
	s := &Server{cfg: cfg, namespaces: namespaces}
	engine := cfg.Engine
	engine.Open = func(session *engineio.Session, _ *http.Request, admitted any) engineio.Handler {
		return newClient(s, session, admitted)
	}
	s.engine = engineio.NewServer(engine)
	return s
}

// ServeHTTP serves one request of a client, whatever its path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// ServeOwn serves a request that another owner has relayed, and never relays it itself.
func (s *Server) ServeOwn(w http.ResponseWriter, r *http.Request) { s.engine.ServeOwn(w, r) }

// ReleasePoll answers the poll of a session now (engineio.Server.ReleasePoll).
func (s *Server) ReleasePoll(id string) { s.engine.ReleasePoll(id) }

// Close closes all connections, and waits for their handlers.
func (s *Server) Close() { s.engine.Close() }

// Empty returns a channel that is closed at the first moment without a session from now
// on (engineio.Server.Empty).
func (s *Server) Empty() <-chan struct{} { return s.engine.Empty() }

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	return Stats{
		Engine:  s.engine.Stats(),
		Sockets: int(s.sockets.Load()), Refused: int(s.refused.Load()), Broken: int(s.broken.Load()),
	}
}
