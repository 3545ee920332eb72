// Package conn provides WebSocket connections that use little memory at rest, with
// outboxes that never block the sender.
//
// A connection at rest has one goroutine, its reader, with the smallest stack and no
// buffer. The reader reads into a pooled buffer, and a worker parses and handles what
// it read. Sent frames wait in the connection's outbox, and a few loops, which all
// connections share, write them; only a socket that accepts nothing gets a goroutine to
// wait for it, and a client that falls too far behind is closed. gorilla/websocket does
// the handshake (RFC 6455 section 4). It could read frames too, but it blocks deep in
// its calls with a buffer of its own, at twice the memory a connection.
package conn

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Config configures a Server; zero fields get their defaults.
type Config struct {
	// ReadLimit is the largest message accepted, in bytes; default 64 KiB.
	ReadLimit int64
	// PingEvery is the interval of pings; default 25 s.
	PingEvery time.Duration
	// NoPings disables pings, for a protocol with its own.
	NoPings bool
	// PongWithin is how long after a ping any byte must arrive, even part of a frame;
	// default 20 s. A client that is far behind gets the same time again whenever it
	// has acknowledged more.
	PongWithin time.Duration
	// IdleAfter is the longest time without any byte; default PingEvery plus
	// PongWithin.
	IdleAfter time.Duration
	// FrameTime bounds the time from the start of a message to its end; default 10 s.
	FrameTime time.Duration
	// OutboxLimit is how many bytes may wait for a client whose socket accepts no more;
	// default 256 KiB.
	OutboxLimit int
	// JoinEvery is the interval of writes to a busy connection; default 10 ms.
	JoinEvery time.Duration
	// Linger is how long a client has to answer a close; default 2 s.
	Linger time.Duration
	// Log gets messages for the operator.
	Log *slog.Logger
}

func (c *Config) fill() {
	fill(&c.ReadLimit, 64<<10)
	fill(&c.PingEvery, 25*time.Second)
	fill(&c.PongWithin, 20*time.Second)
	fill(&c.IdleAfter, c.PingEvery+c.PongWithin)
	fill(&c.FrameTime, 10*time.Second)
	fill(&c.OutboxLimit, 256<<10)
	fill(&c.JoinEvery, 10*time.Millisecond)
	fill(&c.Linger, 2*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func fill[T int | int64 | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// Handler handles a connection's messages. One call is made at a time.
type Handler interface {
	// Message is called with each text message, which is valid UTF-8; data is valid
	// until the return.
	Message(data []byte)
	// Closed is called once, after the last Message, with the close code of the side
	// that closed first, or 1006 if neither did.
	Closed(code int, reason string)
}

// BinaryHandler is a Handler that accepts binary messages too; for other handlers a
// binary message closes the connection with 1003.
type BinaryHandler interface {
	Handler
	// Binary is called with each binary message, like Message with text.
	Binary(data []byte)
}

// Stats are the counts of a Server.
type Stats struct {
	// Open is the number of connections now, Opened that of all so far, Slow that of
	// those closed for reading too slowly, and Panics that of those ended by a panic of
	// their handler.
	Open, Opened, Slow, Panics int
}

// Server owns what connections share.
type Server struct {
	cfg     Config
	loops   []*loop
	next    atomic.Uint32 // numbers connections, to assign loops
	readers sync.WaitGroup
	open    atomic.Int64
	opened  atomic.Int64
	slow    atomic.Int64
	panics  atomic.Int64
	workers workers
	stop    chan struct{}
	ended   sync.WaitGroup // loops and the pinger

	mu     sync.Mutex // guards the fields below
	closed bool
	wheel  []map[*Conn]struct{} // connections by the second of their pings
	turn   int
	empty  chan struct{} // see Empty; nil until it is asked for
}

// tick is the step of the wheel of pings.
const tick = time.Second

// NewServer starts the loops; Close ends them.
func NewServer(cfg Config) *Server {
	cfg.fill()
	s := &Server{cfg: cfg, stop: make(chan struct{}), workers: newWorkers()}
	s.wheel = make([]map[*Conn]struct{}, max(1, int(cfg.PingEvery/tick)))
	for range max(1, runtime.GOMAXPROCS(0)) {
		l := newLoop(cfg.JoinEvery)
		s.loops = append(s.loops, l)
		s.ended.Go(func() { l.run(s.stop) }) // ends with stop; Close waits for it
	}
	s.ended.Go(s.pingAll) // ends with stop; Close waits for it
	return s
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	return Stats{Open: int(s.open.Load()), Opened: int(s.opened.Load()), Slow: int(s.slow.Load()), Panics: int(s.panics.Load())}
}

// Close closes all connections with 1001, waits until they have ended, at most about
// Linger, and ends the loops. Later connections are refused.
func (s *Server) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	var all []*Conn
	for _, slot := range s.wheel {
		for c := range slot {
			all = append(all, c)
		}
	}
	s.mu.Unlock()
	for _, c := range all {
		c.Close(websocket.CloseGoingAway, "this node is stopping")
	}
	done := make(chan struct{})
	go func() { // ends when all readers have; each is cut off below
		s.readers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(min(s.cfg.Linger, quickLinger)):
		for _, c := range all {
			_ = c.socket.net.Close()
		}
		<-done
	}
	close(s.stop)
	s.ended.Wait()
}

// quickLinger is how long clients may take to answer when the process ends.
const quickLinger = 200 * time.Millisecond

// add adds a connection to the wheel, and reports whether the server is open.
func (s *Server) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	c.slot = s.turn
	if s.wheel[c.slot] == nil {
		s.wheel[c.slot] = make(map[*Conn]struct{})
	}
	s.wheel[c.slot][c] = struct{}{}
	s.open.Add(1)
	s.opened.Add(1)
	s.readers.Add(1)
	return true
}

func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	delete(s.wheel[c.slot], c)
	if len(s.wheel[c.slot]) == 0 {
		s.wheel[c.slot] = nil // a map does not shrink by itself
	}
	s.open.Add(-1)
	s.reportEmptyLocked()
	s.mu.Unlock()
	s.readers.Done()
}

// Empty returns a channel that is closed at the first moment without an open
// connection from now on: Stats then had 0 in Open.
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
	if s.empty != nil && s.open.Load() == 0 {
		close(s.empty)
		s.empty = nil
	}
}

// pingAll pings each connection every PingEvery, some of them at each step.
func (s *Server) pingAll() {
	step := time.NewTicker(min(tick, s.cfg.PingEvery))
	defer step.Stop()
	var waves wave
	for {
		select {
		case <-s.stop:
			return
		case <-step.C:
		}
		s.mu.Lock()
		s.turn = (s.turn + 1) % len(s.wheel)
		due := make([]*Conn, 0, len(s.wheel[s.turn]))
		for c := range s.wheel[s.turn] {
			due = append(due, c)
		}
		s.mu.Unlock()
		for _, c := range due {
			if s.cfg.NoPings {
				break
			}
			c.ping()
		}
		if waves.over(int(s.open.Load())) {
			debug.FreeOSMemory()
		}
	}
}

// wave detects the end of a wave of new or closed connections. The handshakes of
// thousands leave more garbage than their connections use, which the collector alone
// would keep for minutes; it is returned to the system then.
type wave struct {
	settled int // connections when memory was last returned
	last    int
	calm    int // steps with little change
}

// A wave is a change by this many connections; it is over when for so many steps less
// than that part of them has opened or closed.
const (
	waveSize = 250
	waveCalm = 2
	wavePart = 100
)

func (w *wave) over(open int) bool {
	w.calm++
	if abs(open-w.last) > open/wavePart {
		w.calm = 0
	}
	w.last = open
	if w.calm < waveCalm || abs(open-w.settled) < waveSize {
		return false
	}
	w.settled = open
	return true
}

func abs(n int) int { return max(n, -n) }

// upgrader does not check the origin: the caller has.
var upgrader = websocket.Upgrader{
	CheckOrigin: func(*http.Request) bool { return true },
	Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
		text := strings.TrimPrefix(reason.Error(), "websocket: ")
		http.Error(w, "this is the address of a WebSocket: "+text, status)
	},
}

// subprotocol returns the header that answers the first subprotocol that a client
// offers; nil if it offers none. All of them get the same frames; a client that gets
// none of its own back must end the connection (RFC 6455 section 4.1).
func subprotocol(r *http.Request) http.Header {
	offered := websocket.Subprotocols(r)
	if len(offered) == 0 || !isToken(offered[0]) {
		return nil
	}
	return http.Header{"Sec-Websocket-Protocol": offered[:1]}
}

// isToken reports whether the text is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	const others = "!#$%&'*+-.^_`|~"
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return s != ""
}

// Accept upgrades the request and serves the connection with the handler that open
// returns. It returns once the connection's own goroutine runs, so net/http can free
// what it holds for the request. On an error the request has been answered. open may
// already send and close.
func (s *Server) Accept(w http.ResponseWriter, r *http.Request, open func(*Conn) Handler) error {
	ws, err := upgrader.Upgrade(w, r, subprotocol(r))
	if err != nil {
		return err
	}
	c := newConn(s, ws.NetConn(), s.loops[s.next.Add(1)%uint32(len(s.loops))])
	if !s.add(c) {
		_ = c.socket.net.Close()
		return errors.New("the server is closed")
	}
	go c.read(open) // ends with the connection; Close waits for it
	return nil
}
