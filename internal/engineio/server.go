// Package engineio is a server of Engine.IO, revision 4: sessions that carry text and
// binary messages between a client and a handler, over HTTP long polling, over a
// WebSocket, or over polling first and then a WebSocket.
//
// Messages of a session arrive in the order in which they were sent, none twice, and,
// as long as the session lives, none is lost: also across an upgrade from polling to a
// WebSocket, and if a request fails or is repeated (see repeat.go). A session that has
// lost a message is closed. Sending never blocks: messages wait up to a limit, and a
// client that falls behind further is closed. Input is bounded too, in bytes, packets,
// time and number of sessions. A session at rest uses no goroutine while it polls
// without a request, and the one of package conn on a WebSocket.
//
// The package does not depend on the chat, only on package conn.
package engineio

import (
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/chat/internal/conn"
)

// Config configures a Server; zero fields get their defaults.
type Config struct {
	// Open returns the handler of a new session. It may send already. The request is
	// the one that opens the session, valid for its headers, address and values;
	// admitted is the result of Admit.
	Open func(s *Session, r *http.Request, admitted any) Handler
	// Allow reports whether a request may be served, by its origin and host. It is
	// called for every request; others get 403. nil allows all.
	Allow func(r *http.Request) bool
	// AnyOrigin answers pages of any origin with CORS's "*", which permits no
	// credentials. Otherwise the origins that Allow accepts are named, and may send
	// credentials.
	AnyOrigin bool
	// Admit is called before a session is made. It returns true and a value for Open,
	// or it answers the request, best with 503 and Retry-After, and returns false. nil
	// admits all.
	Admit func(w http.ResponseWriter, r *http.Request) (admitted any, ok bool)
	// Abandon gets the value of an Admit whose session was not made.
	Abandon func(admitted any)
	// Owner is the prefix of each session's id, followed by a dot: among servers that
	// share clients, it identifies this one. It must need no escaping in a URL.
	Owner string
	// Elsewhere gets requests for sessions of another owner, polls and WebSockets that
	// upgrade, and answers them. If it returns false, or is nil, the session is
	// unknown. The request's body is not limited yet: the owner does that.
	Elsewhere func(owner string, w http.ResponseWriter, r *http.Request) bool

	// Identity returns which node relayed a request, and a value that is unique among
	// that node's requests and the same for repeats; "" for requests of clients. nil if
	// nothing is relayed.
	Identity func(r *http.Request) (via, number string)

	// PingInterval is the interval of pings; default 25 s.
	PingInterval time.Duration
	// PingTimeout is how long after a ping any packet must arrive; default 20 s.
	PingTimeout time.Duration
	// UpgradeTimeout bounds the upgrade of a polling session to a WebSocket; default 10
	// s.
	UpgradeTimeout time.Duration
	// BodyTime bounds the reading of a request's body, and the writing of an answer;
	// default 10 s.
	BodyTime time.Duration
	// Linger is how long a closed polling session waits for a poll that fetches the
	// packets sent before the close; default 20 s.
	Linger time.Duration
	// MaxPayload is the largest body of a request and the largest WebSocket message, in
	// bytes; default 1,000,000.
	MaxPayload int64
	// MaxPackets is the most packets of one request; default 1,000.
	MaxPackets int
	// MaxSessions is the most sessions; default 10,000. Further clients get 503.
	MaxSessions int
	// OutboxLimit is how many bytes may wait for one client; default 256 KiB.
	OutboxLimit int
	// JoinEvery is the interval of writes to a busy WebSocket; default 10 ms.
	JoinEvery time.Duration
	// Log gets messages for the operator.
	Log *slog.Logger
}

func (c *Config) fill() {
	fill(&c.PingInterval, 25*time.Second)
	fill(&c.PingTimeout, 20*time.Second)
	fill(&c.UpgradeTimeout, 10*time.Second)
	fill(&c.BodyTime, 10*time.Second)
	fill(&c.Linger, 20*time.Second)
	fill(&c.MaxPayload, 1_000_000)
	fill(&c.MaxPackets, 1000)
	fill(&c.MaxSessions, 10_000)
	fill(&c.OutboxLimit, 256<<10)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func fill[T int | int64 | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// Handler handles a session's messages. One call is made at a time.
type Handler interface {
	// Message is called with each message, in order; data is valid until the return. No
	// further message of the session is handled until then.
	Message(data []byte, binary bool)
	// Closed is called once, after the last Message.
	Closed(reason Reason)
}

// Reason is why a session ended, in the words that clients know.
type Reason string

// The reasons.
const (
	// ReasonClient is a close by the client.
	ReasonClient Reason = "transport close"
	// ReasonTransport is a broken or misused request or connection.
	ReasonTransport Reason = "transport error"
	// ReasonPing is a ping timeout.
	ReasonPing Reason = "ping timeout"
	// ReasonParse is an invalid packet, or one over a limit.
	ReasonParse Reason = "parse error"
	// ReasonServer is a Close by this side.
	ReasonServer Reason = "forced close"
	// ReasonSlow is a client that fell too far behind.
	ReasonSlow Reason = "too slow"
)

// Stats are the counts of a Server.
type Stats struct {
	// Open is the number of sessions now, including those that only wait to send their
	// last packets, and WebSockets that of those on one.
	Open, WebSockets int
	// Opened is the number of all sessions so far, Upgraded that of those upgraded to a
	// WebSocket, and Full that of handshakes refused because of MaxSessions.
	Opened, Upgraded, Full int
	// Slow counts sessions closed for reading too slowly, Panics panics of handlers.
	Slow, Panics int
}

// Server is an http.Handler that serves sessions.
type Server struct {
	cfg     Config
	sockets *conn.Server

	opened, upgraded, full atomic.Int64
	slow, panics           atomic.Int64
	handlers               sync.WaitGroup // of sessions whose Closed has not been called

	mu       sync.Mutex // guards the fields below
	closed   bool
	sessions map[string]*Session
	count    int           // sessions, including reserved ones
	empty    chan struct{} // see Empty; nil until it is asked for
}

// NewServer returns a Server; Close ends it.
func NewServer(cfg Config) *Server {
	cfg.fill()
	return &Server{
		cfg: cfg,
		sockets: conn.NewServer(conn.Config{
			ReadLimit:   cfg.MaxPayload,
			NoPings:     true, // the protocol has its own
			IdleAfter:   cfg.PingInterval + cfg.PingTimeout + cfg.UpgradeTimeout,
			FrameTime:   cfg.BodyTime,
			OutboxLimit: cfg.OutboxLimit,
			JoinEvery:   cfg.JoinEvery,
			Log:         cfg.Log,
		}),
		sessions: make(map[string]*Session),
	}
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	sockets := s.sockets.Stats()
	s.mu.Lock()
	open := len(s.sessions)
	s.mu.Unlock()
	return Stats{
		Open: open, WebSockets: sockets.Open,
		Opened: int(s.opened.Load()), Upgraded: int(s.upgraded.Load()), Full: int(s.full.Load()),
		Slow: int(s.slow.Load()) + sockets.Slow, Panics: int(s.panics.Load()) + sockets.Panics,
	}
}

// ReleasePoll answers the poll of a session now, because its path is about to end. The client
// polls again. Without a poll, which may still be arriving, it does nothing.
func (s *Server) ReleasePoll(id string) {
	session := s.find(id)
	if session == nil {
		return
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	if !session.ended && session.out.socket == nil {
		session.pushLocked(noopPacket)
	}
}

// Close closes all sessions, and waits for their handlers' Closed. Later requests are
// refused.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	all := make([]*Session, 0, len(s.sessions))
	for _, session := range s.sessions {
		all = append(all, session)
	}
	s.mu.Unlock()
	for _, session := range all {
		session.end(ReasonServer)
	}
	s.sockets.Close()
	s.handlers.Wait()
}

// The random part of a session's id has this many bytes: more than can be guessed, and
// a whole number of base64 characters.
const idBytes = 18

// newID returns a session's id: the owner, a dot, and a random part.
func newID(owner string) string {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	id := base64.RawURLEncoding.EncodeToString(b[:])
	if owner == "" {
		return id
	}
	return owner + "." + id
}

// ownerOf returns the owner in a session's id; "" if there is none.
func ownerOf(id string) string {
	if i := strings.LastIndexByte(id, '.'); i > 0 {
		return id[:i]
	}
	return ""
}

// reserve reserves a place for one more session.
func (s *Server) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.count >= s.cfg.MaxSessions {
		s.full.Add(1)
		return false
	}
	s.count++
	return true
}

// add adds a session with a reserved place, and reports whether the server is open.
func (s *Server) add(session *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.count--
		return false
	}
	s.sessions[session.id] = session
	s.handlers.Add(1)
	s.opened.Add(1)
	return true
}

// release releases a reserved place that no session used.
func (s *Server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
}

func (s *Server) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.sessions[id]; ok {
		delete(s.sessions, id)
		s.count--
	}
	s.reportEmptyLocked()
}

// Empty returns a channel that is closed at the first moment without a session from now
// on: Stats then had 0 in Open.
func (s *Server) Empty() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	empty := s.empty
	if empty == nil {
		empty = make(chan struct{})
		s.empty = empty
	}
	s.reportEmptyLocked()
	return empty
}

func (s *Server) reportEmptyLocked() {
	if s.empty != nil && len(s.sessions) == 0 {
		close(s.empty)
		s.empty = nil
	}
}

func (s *Server) find(id string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}
