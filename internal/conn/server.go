// Package conn holds WebSocket connections that cost little while they rest,
// and outboxes that never block who sends.
//
// A connection at rest is one goroutine, its reader, with the smallest stack and
// no buffer: what it reads it reads into a buffer borrowed for the moment, and
// has a worker take it apart and handle it. What is sent waits in the
// connection's outbox and is written by one of a few loops that all connections
// share; only a socket that takes nothing gets a goroutine to wait for it, and
// one that falls too far behind is closed. gorilla/websocket does the handshake
// (RFC 6455 section 4); it could read frames too, but only by blocking deep in
// its calls with a buffer of its own, at twice the memory for each connection.
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

// Config says how connections behave; what is zero gets its default.
type Config struct {
	// ReadLimit is the largest message taken, in bytes; default 64 KiB.
	ReadLimit int64
	// PingEvery is how often a ping is sent; default 25 s.
	PingEvery time.Duration
	// NoPings has none sent, where the protocol inside has its own.
	NoPings bool
	// PongWithin is how long after a ping something must be heard, be it a part of
	// a frame; default 20 s. Where more waits for the client than it takes at once,
	// it has as long again each time it has taken some of it.
	PongWithin time.Duration
	// IdleAfter is how long nothing at all may be heard, whatever was sent; default
	// PingEvery and PongWithin together.
	IdleAfter time.Duration
	// FrameTime is how long a message that has begun may take to its end,
	// whatever else comes meanwhile; default 10 s.
	FrameTime time.Duration
	// OutboxLimit is how many bytes may wait for a client whose socket takes no
	// more; default 256 KiB.
	OutboxLimit int
	// JoinEvery is how often a busy connection is written to; default 10 ms.
	JoinEvery time.Duration
	// Linger is how long a client is given to answer a close; default 2 s.
	Linger time.Duration
	// Log takes what an operator should know.
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

// Handler is told what a connection brings, by its reader, one call at a time.
type Handler interface {
	// Message is called with each text message, which is valid UTF-8; data is
	// good until the return.
	Message(data []byte)
	// Closed is called once, after the last Message, with the close code of
	// whoever closed first, or 1006 where nobody did.
	Closed(code int, reason string)
}

// BinaryHandler is a Handler that takes binary messages too; a connection with
// another one is closed with 1003 when it brings one.
type BinaryHandler interface {
	Handler
	// Binary is called with each binary message, as Message is with text.
	Binary(data []byte)
}

// Stats are what a Server counted.
type Stats struct {
	// Open connections now, all that were Opened so far, those that were closed
	// because they read too slowly, and those that ended by a panic of their
	// handler.
	Open, Opened, Slow, Panics int
}

// Server owns what the connections of one node share.
type Server struct {
	cfg     Config
	loops   []*loop
	next    atomic.Uint32 // which loop the next connection gets
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
	wheel  []map[*Conn]struct{} // connections by the second in which they are pinged
	turn   int
}

// tick is the step of the wheel that pings go by.
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

// Close closes all connections with 1001, waits until they are gone, at most
// about Linger, and ends the loops. Connections that come later are refused.
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
			_ = c.net.Close()
		}
		<-done
	}
	close(s.stop)
	s.ended.Wait()
}

// quickLinger is how long clients may take to answer when the process ends.
const quickLinger = 200 * time.Millisecond

// add takes a connection into the wheel; false when the server is closed.
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
	s.mu.Unlock()
	s.open.Add(-1)
	s.readers.Done()
}

// pingAll sends each connection a ping every PingEvery, a part of them a step.
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

// wave sees when a wave of connections has come or gone and it is quiet again.
// The handshakes of thousands leave more garbage than their connections hold,
// which the collector alone would keep for minutes: then it is given back.
type wave struct {
	settled int // connections when memory was last given back
	last    int
	calm    int // steps for which little has changed
}

// A wave is this many connections more or fewer; it is over when for so many
// steps fewer than that part of them has come or gone.
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

// upgrader does no check of the origin: the caller has.
var upgrader = websocket.Upgrader{
	CheckOrigin: func(*http.Request) bool { return true },
	Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
		text := strings.TrimPrefix(reason.Error(), "websocket: ")
		http.Error(w, "this is the address of a WebSocket: "+text, status)
	},
}

// subprotocol is the header that answers the first subprotocol that a client offers;
// nil where it offers none. What goes over the connection is the same for all of
// them, and a client that gets none of its own back must end it (RFC 6455 section
// 4.1).
func subprotocol(r *http.Request) http.Header {
	offered := websocket.Subprotocols(r)
	if len(offered) == 0 || !isToken(offered[0]) {
		return nil
	}
	return http.Header{"Sec-Websocket-Protocol": offered[:1]}
}

// isToken reports whether a header may hold the text as a token (RFC 9110 section
// 5.6.2).
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

// Accept upgrades the request and serves the connection with the handler that
// open makes for it. It returns once the connection's own goroutine runs, so
// that what net/http holds for the request is freed. On an error the request
// has been answered. open may send and close already.
func (s *Server) Accept(w http.ResponseWriter, r *http.Request, open func(*Conn) Handler) error {
	ws, err := upgrader.Upgrade(w, r, subprotocol(r))
	if err != nil {
		return err
	}
	c := newConn(s, ws.NetConn(), s.loops[s.next.Add(1)%uint32(len(s.loops))])
	if !s.add(c) {
		_ = c.net.Close()
		return errors.New("the server is closed")
	}
	go c.read(open) // ends with the connection; Close waits for it
	return nil
}
