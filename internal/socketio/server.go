// Package socketio is a server of Socket.IO, revision 5, over package engineio:
// clients connect to namespaces, and both sides send each other events with
// arguments that are JSON or binary, and acknowledge them.
//
// What it promises: events of one socket arrive in the order in which they were
// sent, in both directions and across transports. An event that goes to many is
// encoded once. A client that sends what is no packet, or is over a limit, is
// closed, and so is one that connects to nothing, or announces attachments and
// does not send them, in time. Sending never blocks; see package engineio for
// what happens to clients that fall behind.
//
// It has no rooms, no broadcasts and no adapter: who gets what is the business of
// the program around it. It knows nothing of the chat, and could stand alone with
// engineio and conn.
package socketio

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/engineio"
)

// Config says how connections behave; what is zero gets its default.
type Config struct {
	// Engine is for the sessions below. Its Open must be nil; what its Admit
	// returned is each socket's Admitted.
	Engine engineio.Config
	// Opened, where it is set, is told of each connection, with what Admit returned
	// for it and a means to close it (engineio.Session.Close), before it brings
	// anything.
	Opened func(admitted any, close func(code int, reason string))
	// Ended, where it is set, is told of each that was Opened when it is gone,
	// whether it was ever connected to a namespace or not, and after its sockets'
	// handlers were told.
	Ended func(admitted any)
	// Limits bound what a packet may be.
	Limits Limits
	// ConnectTimeout is how long a client may take to connect to a namespace;
	// default 45 s.
	ConnectTimeout time.Duration
	// AttachmentTime is how long the attachments of an event may take to follow
	// it; default 10 s.
	AttachmentTime time.Duration
	// MaxBinary is how many bytes the attachments of an event may have together;
	// default twice the largest payload.
	MaxBinary int64
	// MaxPendingAcks is how many acknowledgements of one socket may be waited
	// for; default 100.
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

// ConnectFunc decides about a client that connects to a namespace, whose auth
// payload is an object, or nil where it sent none; it is good until the return.
// Either the client is connected, and the handler is told what it sends; or it
// gets the refusal, and may try again.
//
// What is sent to the socket before the return is kept, and follows the
// confirmation that the client waits for; after a refusal it is dropped. Nothing
// else of the connection is handled meanwhile.
type ConnectFunc func(s *Socket, auth jsontext.Value) (Handler, *Refusal)

// Handler is told what a socket brings, one call at a time for all the sockets of
// one connection.
type Handler interface {
	// Event is called with each event, in order. The event's arguments are good
	// until the return; its attachments may be kept.
	Event(e *Event)
	// Disconnected is called once, after the last Event.
	Disconnected(reason Reason)
}

// Starter is a Handler that has something to do when its client has been told that
// it is connected, before anything that the client sent is handled: official clients
// send what they kept while they were away before their own code hears of the
// connection.
type Starter interface {
	// Connected is called once, before the first Event.
	Connected()
}

// Refusal is why a client is not connected, in words for it and perhaps data.
type Refusal struct {
	Message string
	Data    jsontext.Value
}

// Reason says why a socket is disconnected, in the words that clients know: it is
// one of engineio's, or one of these.
type Reason = engineio.Reason

// The reasons for which a socket is disconnected although its connection stays.
const (
	ReasonClientLeft Reason = "client namespace disconnect"
	ReasonServerLeft Reason = "server namespace disconnect"
)

// Stats are what a Server counted.
type Stats struct {
	// Engine are the sessions below.
	Engine engineio.Stats
	// Sockets are connected now; Refused could not connect to a namespace, and
	// Broken were closed because they broke the protocol.
	Sockets, Refused, Broken int
}

// Server is an http.Handler for the clients of one node.
type Server struct {
	cfg        Config
	engine     *engineio.Server
	namespaces map[string]ConnectFunc

	sockets, refused, broken atomic.Int64
}

// NewServer makes a Server of namespaces, by their names; Close ends it.
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

// ServeOwn serves a request that another owner has passed on, and never passes
// it on itself.
func (s *Server) ServeOwn(w http.ResponseWriter, r *http.Request) { s.engine.ServeOwn(w, r) }

// LetGo has the poll of a session answered now (engineio.Server.LetGo).
func (s *Server) LetGo(id string) { s.engine.LetGo(id) }

// Close closes all connections, and waits until their handlers were told.
func (s *Server) Close() { s.engine.Close() }

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	return Stats{
		Engine:  s.engine.Stats(),
		Sockets: int(s.sockets.Load()), Refused: int(s.refused.Load()), Broken: int(s.broken.Load()),
	}
}
