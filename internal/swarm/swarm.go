// Package swarm drives many WebSocket clients at little cost, so that a measurement
// shows what the servers do and not what the clients cost.
//
// All clients of a Swarm share one goroutine. On Linux it waits for their sockets by
// epoll, and time stamps of what arrives are the kernel's (SO_TIMESTAMPNS); elsewhere,
// and with TLS, each client has a reader, and time stamps are taken at the read.
//
// In an open loop messages are sent at times that are fixed beforehand, and latency
// counts from these: a server that stalls delays every message that was due meanwhile
// (no coordinated omission).
package swarm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config describes the clients of a Swarm.
type Config struct {
	// Dialect is the protocol that they speak, URLs are the nodes: http, https, ws or
	// wss.
	Dialect Dialect
	URLs    []string
	// Clients is their number, Rooms the names of the rooms that they are spread over,
	// each over all nodes. Each client is in one room.
	Clients int
	Rooms   []string
	// Parallel is how many connect at the same time; 0 means 32.
	Parallel int
	// Size is the length of a text in bytes; 0 means 100.
	Size int
	// Drain is how long the last messages of a load may take to arrive; 0 means 5 s.
	Drain time.Duration
	// Remember keeps the ids of what the clients send, so that Remove can delete it. The
	// dialect must be a Remover.
	Remember bool
	// Portable selects readers in place of epoll also on Linux.
	Portable bool
}

// Defaults of a Config, and bounds.
const (
	defaultParallel = 32
	defaultSize     = 100
	defaultDrain    = 5 * time.Second
	// loginWithin bounds the login of one client, with all tries.
	loginWithin = 30 * time.Second
	// writeWithin bounds a write through a reader's connection; epoll's never wait.
	writeWithin = 5 * time.Second
)

// Swarm is a number of connected clients. Its methods are safe for concurrent use,
// except that one load runs at a time.
type Swarm struct {
	cfg    Config
	text   string
	engine engine
	calls  chan func() // functions for the goroutine of the clients
	quit   chan struct{}
	ended  chan struct{} // closed when that goroutine has ended
	once   sync.Once

	refusals atomic.Int64 // handshakes that were answered with 503 and tried again
	tookMu   sync.Mutex
	took     *Times // of the logins; guarded by tookMu

	// Only the goroutine of the clients uses the fields below.
	conns        []*conn
	members      []int // live clients by room
	lost         int
	number       int           // of the next message
	turn         int           // index of the next client to send
	buf, message []byte        // the newest frame and command, for their memory
	waited       time.Duration // for sockets and timers
	load         *run          // nil for none
	remover      Remover       // nil unless Config.Remember
	said         []said        // accepted messages, with remover
}

// conn is one client. After the login only the goroutine of the clients uses it.
type conn struct {
	room  int
	index int
	dead  bool
	rest  []byte // an incomplete frame
	net   net.Conn
	fd    int // with epoll
}

// engine reads from and writes to the connections. wait, write and drop are called by
// the goroutine of the clients.
type engine interface {
	// add takes over a connection before the goroutine starts.
	add(c *conn) error
	// wait waits until something has arrived, until wake, or until a time of the
	// clock (Unix ns; 0 for none), and calls Swarm.input for what has arrived.
	wait(until int64)
	// write sends a frame. It never waits for the other side.
	write(c *conn, frame []byte) error
	drop(c *conn)
	// wake ends a wait. It is safe for concurrent use.
	wake()
	close()
}

// Connect connects all clients; each is in its room when Connect returns. It fails if
// one of them can't get in within 30 s.
func Connect(ctx context.Context, cfg Config) (*Swarm, error) {
	if cfg.Clients < 1 || len(cfg.Rooms) < 1 || len(cfg.URLs) < 1 {
		return nil, errors.New("a swarm needs a client, a room and a node")
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = defaultParallel
	}
	if cfg.Size == 0 {
		cfg.Size = defaultSize
	}
	if cfg.Drain == 0 {
		cfg.Drain = defaultDrain
	}
	s := &Swarm{
		cfg: cfg, text: strings.Repeat("a message of usual length; ", cfg.Size/27+1)[:cfg.Size],
		calls: make(chan func(), 1), quit: make(chan struct{}), ended: make(chan struct{}),
		members: make([]int, len(cfg.Rooms)), took: newTimes(),
	}
	if cfg.Remember {
		remover, ok := cfg.Dialect.(Remover)
		if !ok {
			return nil, errors.New("this dialect can't delete messages")
		}
		s.remover = remover
	}
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	go s.run() // ends with quit; Close waits
	return s, nil
}

// connect logs all clients in, and hands them to the engine.
func (s *Swarm) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.conns = make([]*conn, s.cfg.Clients)
	tickets := make(chan struct{}, s.cfg.Parallel)
	var all sync.WaitGroup
	for i := range s.conns {
		tickets <- struct{}{}
		all.Go(func() {
			defer func() { <-tickets }()
			c, err := s.login(ctx, i)
			if err != nil {
				cancel(fmt.Errorf("client %d: %w", i+1, err))
				return
			}
			s.conns[i] = c
		})
	}
	all.Wait()
	err := context.Cause(ctx)
	if err == nil {
		err = s.handOver()
	}
	if err != nil {
		for _, c := range s.conns {
			if c != nil && c.net != nil {
				_ = c.net.Close()
			}
		}
	}
	return err
}

// handOver gives the connections to an engine. On an error it closes those that the
// engine has.
func (s *Swarm) handOver() error {
	var err error
	if s.engine, err = s.newEngine(); err != nil {
		return err
	}
	for _, c := range s.conns {
		if err := s.engine.add(c); err != nil {
			s.engine.close()
			return err
		}
		s.members[c.room]++
	}
	return nil
}

// newEngine chooses how the connections are read.
func (s *Swarm) newEngine() (engine, error) {
	portable := s.cfg.Portable
	for _, c := range s.conns {
		if _, plain := c.net.(*net.TCPConn); !plain {
			portable = true
		}
	}
	if !portable {
		e, err := newEpoll(s)
		if !errors.Is(err, errors.ErrUnsupported) {
			return e, err
		}
	}
	return newReaders(s), nil
}

// run is the goroutine of the clients.
func (s *Swarm) run() {
	defer close(s.ended)
	defer s.engine.close()
	for _, c := range s.conns {
		s.input(c, nil, time.Now().UnixNano()) // frames that arrived with the login's last
	}
	for {
		select {
		case <-s.quit:
			return
		case f := <-s.calls:
			f()
		default:
		}
		until := s.tick(time.Now().UnixNano())
		if len(s.calls) > 0 {
			continue
		}
		s.engine.wait(until)
	}
}

// do runs f on the goroutine of the clients, and returns when it has run, or false
// when that goroutine has ended.
func (s *Swarm) do(f func()) bool {
	done := make(chan struct{})
	select {
	case s.calls <- func() { f(); close(done) }:
	case <-s.ended:
		return false
	}
	s.engine.wake()
	select {
	case <-done:
		return true
	case <-s.ended:
		return false
	}
}

// Close closes all connections.
func (s *Swarm) Close() {
	s.once.Do(func() { close(s.quit) })
	s.engine.wake()
	<-s.ended
}

// Logins returns the times from dialing to the room of all clients, and how many
// handshakes were refused with 503 and tried again.
func (s *Swarm) Logins() (*Times, int) { return s.took, int(s.refusals.Load()) }

// Lost returns the number of connections that were lost, and of clients that are in
// their room.
func (s *Swarm) Lost() (lost, in int) {
	s.do(func() { lost, in = s.lost, len(s.conns)-s.lost })
	return lost, in
}

// input handles bytes from a connection, received at a time (Unix ns).
func (s *Swarm) input(c *conn, data []byte, at int64) {
	if len(c.rest) > 0 {
		c.rest = append(c.rest, data...)
		data = c.rest
	}
	for len(data) > 0 && !c.dead {
		f, n, err := parseFrame(data)
		if err != nil {
			s.drop(c)
			return
		}
		if n == 0 {
			break
		}
		data = data[n:]
		s.frame(c, f, at)
	}
	switch {
	case len(data) > 0:
		c.rest = append(c.rest[:0], data...)
	case cap(c.rest) > keptBuffer:
		c.rest = nil
	default:
		c.rest = c.rest[:0]
	}
}

// keptBuffer bounds the buffer that a quiet client keeps.
const keptBuffer = 4 << 10

// frame handles a frame.
func (s *Swarm) frame(c *conn, f frame, at int64) {
	switch f.op {
	case opPing:
		s.write(c, appendFrame(s.buf[:0], opPong, f.payload))
		return
	case opClose:
		s.drop(c)
		return
	case opPong:
		return
	}
	for message := range messages(f.payload) {
		kind, number := s.cfg.Dialect.Read(message)
		switch {
		case kind == Ping:
			s.write(c, appendFrame(s.buf[:0], opText, s.cfg.Dialect.Pong()))
		case s.load != nil:
			s.load.read(c, kind, number, message, at)
		}
	}
}

// write sends a frame, whose buffer is kept for the next one, and drops the connection
// at an error.
func (s *Swarm) write(c *conn, frame []byte) {
	s.buf = frame
	if !c.dead && s.engine.write(c, frame) != nil {
		s.drop(c)
	}
}

// drop gives a connection up.
func (s *Swarm) drop(c *conn) {
	if c.dead {
		return
	}
	c.dead, c.rest = true, nil
	s.lost++
	s.members[c.room]--
	s.engine.drop(c)
}

// tick lets the load send what is due, and returns when it is due next (Unix ns), 0
// for never.
func (s *Swarm) tick(now int64) int64 {
	if s.load == nil {
		return 0
	}
	return s.load.tick(now)
}
