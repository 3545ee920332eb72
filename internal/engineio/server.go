// Package engineio is a server of Engine.IO, revision 4: sessions that carry
// messages, text and binary, between a client and a handler, over HTTP long
// polling, over a WebSocket, or over the one first and then the other.
//
// What it promises: messages of one session arrive in the order in which they
// were sent, none twice, and, as long as the session lives, none is lost, also
// across an upgrade from polling to a WebSocket, and where a request fails or
// comes twice (see repeat.go). A session that is known to have lost something is
// closed. Sending never blocks: what a client does not take waits, as far as
// a bound that is set, and a client that falls behind further is closed. What
// clients bring is bounded too, in bytes, packets, time and number of sessions.
// A session at rest costs no goroutine while it polls without a request, and
// the one of package conn on a WebSocket.
//
// It knows nothing of the chat, and could stand alone with package conn.
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

// Config says how sessions behave; what is zero gets its default.
type Config struct {
	// Open makes the handler of a new session. It may send already; the request
	// is the one that opens the session, good for its headers, address and
	// values, and admitted is what Admit returned.
	Open func(s *Session, r *http.Request, admitted any) Handler
	// Allow tells whether a request may be served at all, by its origin and host.
	// It is asked for every request; nil allows all. Who may not gets 403.
	Allow func(r *http.Request) bool
	// AnyOrigin answers pages of any origin with CORS's "*", which takes no
	// credentials. Otherwise the origins that Allow lets in are named, and may
	// send credentials.
	AnyOrigin bool
	// Admit is asked before a session is made. It either lets it be made, with a
	// value that Open is handed, or it has answered the request, best with 503 and
	// Retry-After, and returns false. nil admits all.
	Admit func(w http.ResponseWriter, r *http.Request) (admitted any, ok bool)
	// Abandon is told the value of an Admit whose session came to nothing.
	Abandon func(admitted any)
	// Owner stands in front of each session's id, with a dot between: where
	// several servers share the clients, it names this one. It must hold only
	// what a URL may hold as it is.
	Owner string
	// Elsewhere is handed requests for sessions of another owner, polling ones
	// and WebSockets that come to upgrade one, and answers them; where it returns
	// false, or is nil, the session is unknown. The request's body is not bounded
	// yet: the owner does that.
	Elsewhere func(owner string, w http.ResponseWriter, r *http.Request) bool

	// Identity tells who passed a request on, and what tells it from all others of
	// theirs, however often it is sent; "" for what came from its client. nil where
	// nothing is passed on.
	Identity func(r *http.Request) (via, number string)

	// PingInterval is how often a session is pinged; default 25 s.
	PingInterval time.Duration
	// PingTimeout is how long after that something must be heard; default 20 s.
	PingTimeout time.Duration
	// UpgradeTimeout is how long a WebSocket may take to take a polling session
	// over; default 10 s.
	UpgradeTimeout time.Duration
	// BodyTime is how long a request's body may take to arrive, and an answer to
	// be written; default 10 s.
	BodyTime time.Duration
	// Linger is how long a polling session that was closed waits for a request
	// that takes what was sent before the close; default 20 s.
	Linger time.Duration
	// MaxPayload is the largest body of a request and the largest WebSocket
	// message, in bytes; default 1,000,000.
	MaxPayload int64
	// MaxPackets is how many packets one request may bring; default 1,000.
	MaxPackets int
	// MaxSessions is how many sessions there may be; default 10,000. Who comes
	// beyond them gets 503.
	MaxSessions int
	// OutboxLimit is how many bytes may wait for one client; default 256 KiB.
	OutboxLimit int
	// JoinEvery is how often a busy WebSocket is written to; default 10 ms.
	JoinEvery time.Duration
	// Log takes what an operator should know.
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

// Handler is told what a session brings, one call at a time.
type Handler interface {
	// Message is called with each message, in order; data is good until the
	// return. Until then no further one of the session is taken.
	Message(data []byte, binary bool)
	// Closed is called once, after the last Message.
	Closed(reason Reason)
}

// Reason says why a session ended, in the words that clients know.
type Reason string

// The reasons.
const (
	// ReasonClient is a close by the client.
	ReasonClient Reason = "transport close"
	// ReasonTransport is a request or a connection that broke, or was misused.
	ReasonTransport Reason = "transport error"
	// ReasonPing is a client from which nothing was heard in time.
	ReasonPing Reason = "ping timeout"
	// ReasonParse is something that is no packet, or is over a limit.
	ReasonParse Reason = "parse error"
	// ReasonServer is a Close by this side.
	ReasonServer Reason = "forced close"
	// ReasonSlow is a client that fell too far behind.
	ReasonSlow Reason = "too slow"
)

// Stats are what a Server counted.
type Stats struct {
	// Open are the sessions now, those included that only wait to hand out their
	// last packets, and WebSockets those of them that are on one.
	Open, WebSockets int
	// Opened are all sessions so far, Upgraded those that went over to a
	// WebSocket, and Full the handshakes refused because there were too many.
	Opened, Upgraded, Full int
	// Slow were closed because they read too slowly, and Panics are handlers'.
	Slow, Panics int
}

// Server is an http.Handler whose sessions are those of one node.
type Server struct {
	cfg     Config
	sockets *conn.Server

	opened, upgraded, full atomic.Int64
	slow, panics           atomic.Int64
	handlers               sync.WaitGroup // of sessions that have not been told of their end

	mu       sync.Mutex // guards the fields below
	closed   bool
	sessions map[string]*Session
	count    int // sessions, and those that are about to be
}

// NewServer makes a Server; Close ends it.
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

// LetGo has the poll of a session answered now: where what it came through is about
// to end. The client polls anew. The poll may still be on its way; a session that
// has none is told nothing by it.
func (s *Server) LetGo(id string) {
	session := s.find(id)
	if session == nil {
		return
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	if !session.over && session.socket == nil {
		session.push(noopPacket)
	}
}

// Close closes all sessions, and waits until their handlers were told. Requests
// that come later are refused.
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

// The random part of a session's id is this many bytes: more than can be
// guessed, and a whole number of base64's characters.
const idBytes = 18

// newID makes a session's id: the owner, a dot, and what can't be guessed.
func newID(owner string) string {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	id := base64.RawURLEncoding.EncodeToString(b[:])
	if owner == "" {
		return id
	}
	return owner + "." + id
}

// ownerOf reads the owner out of a session's id; "" where there is none.
func ownerOf(id string) string {
	if i := strings.LastIndexByte(id, '.'); i > 0 {
		return id[:i]
	}
	return ""
}

// reserve takes a place for one more session.
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

// add enters a session whose place was reserved; false when the server is closed.
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

// release gives a reserved place back that no session took.
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
}

func (s *Server) find(id string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}
