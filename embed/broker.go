// Package embed carries what other programs would have to be installed for: a
// Redis-compatible broker inside this process, and a cluster of nodes on this
// machine as its child processes.
package embed

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"

	"example.com/chat/internal/neterr"
)

// BrokerConfig says how an embedded broker behaves; what is zero gets its
// default.
type BrokerConfig struct {
	// Addr is where it listens; default a free port of the loopback.
	Addr string
	// Password is what clients must give; default a random one.
	Password string
	// QueueLimit is how many bytes may wait for one client before it is cut
	// off, as Redis does (redis.conf, client-output-buffer-limit); default 32 MiB.
	QueueLimit int
	// Log takes what an operator should know.
	Log *slog.Logger

	maxClients int           // default maxClients
	patience   time.Duration // with a client that gives no password; default strangerPatience
}

// Bounds of the broker.
const (
	queueLimit    = 32 << 20
	maxClients    = 10_000
	passwordBytes = 24
	pieceSize     = 16 << 10
	// keptPiece is the largest buffer that a queue keeps for reuse.
	keptPiece   = 256 << 10
	acceptPause = 50 * time.Millisecond
	// lastWords is how long a client has to take what waits for it when
	// miniredis has ended the connection, as after QUIT.
	lastWords = time.Second
)

// Broker is a miniredis behind a listener of its own. A client that stops
// reading would freeze all of miniredis, which writes to it under a lock: so
// each connection is joined to it through a pipe that is always read, and what
// the client doesn't take waits in a bounded queue. Keys with a time to live
// never expire, since miniredis has no clock that moves by itself.
type Broker struct {
	cfg      BrokerConfig
	redis    *miniredis.Miniredis
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	clients map[net.Conn]struct{}
	stopped bool // it takes nobody until Start
	closed  bool
}

// StartBroker starts a broker; Close ends it. All it holds is in memory.
func StartBroker(cfg BrokerConfig) (*Broker, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.QueueLimit == 0 {
		cfg.QueueLimit = queueLimit
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.maxClients == 0 {
		cfg.maxClients = maxClients
	}
	if cfg.patience == 0 {
		cfg.patience = strangerPatience
	}
	if cfg.Password == "" {
		var b [passwordBytes]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		cfg.Password = base64.RawURLEncoding.EncodeToString(b[:])
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the embedded broker can't listen on %s: another program does already: choose another --broker-addr", cfg.Addr)
	case err != nil:
		return nil, fmt.Errorf("the embedded broker can't listen on %s: %w: choose another --broker-addr", cfg.Addr, neterr.Cause(err))
	}
	b := &Broker{cfg: cfg, redis: miniredis.NewMiniRedis(), listener: listener, clients: make(map[net.Conn]struct{})}
	b.redis.RequireAuth(cfg.Password)
	b.running.Go(b.accept) // ends with the listener; Close waits for it
	return b, nil
}

// Addr is where the broker listens, host:port.
func (b *Broker) Addr() string { return b.listener.Addr().String() }

// URL is what a client needs to reach it, with the password.
func (b *Broker) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", b.cfg.Password), Host: b.Addr()}
	return u.String()
}

// Close ends the broker and all its connections, and waits for them.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	for c := range b.clients {
		_ = c.Close()
	}
	b.mu.Unlock()
	_ = b.listener.Close()
	b.running.Wait()
	b.redis.Close()
}

// Stop has the broker be away: it cuts off its clients and takes no others until
// Start. It keeps what it holds, and its port.
func (b *Broker) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	for c := range b.clients {
		_ = c.Close()
	}
}

// Start ends Stop.
func (b *Broker) Start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = false
}

// Stopped tells whether it is between Stop and Start.
func (b *Broker) Stopped() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped
}

func (b *Broker) accept() {
	for {
		c, err := b.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, as a rule: some will be free again
			b.cfg.Log.Warn("the embedded broker can't accept a connection", "error", err)
			time.Sleep(acceptPause)
			continue
		}
		if !b.add(c) {
			if !b.Stopped() {
				_, _ = io.WriteString(c, "-ERR max number of clients reached\r\n") // fits the socket's empty buffer
			}
			_ = c.Close()
			continue
		}
		b.running.Go(func() { b.serve(c) }) // ends with the connection; Close waits for it
	}
}

func (b *Broker) add(c net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.stopped || len(b.clients) >= b.cfg.maxClients {
		return false
	}
	b.clients[c] = struct{}{}
	return true
}

// serve joins a client with miniredis until either ends.
func (b *Broker) serve(client net.Conn) {
	defer func() {
		_ = client.Close()
		b.mu.Lock()
		delete(b.clients, client)
		b.mu.Unlock()
	}()
	redis, err := b.redis.Dial()
	if err != nil {
		return
	}
	defer redis.Close()
	q := newQueue(b.cfg.QueueLimit)
	var copiers sync.WaitGroup
	copiers.Go(func() { // what the client says; ends with either connection
		defer redis.Close()
		b.hear(client, redis, q)
	})
	copiers.Go(func() { // what waits for the client; ends with the queue or the client
		defer client.Close()
		q.writeTo(client)
	})
	if fill(q, redis) {
		_ = client.SetWriteDeadline(time.Now().Add(lastWords))
	} else {
		b.cfg.Log.Warn("a client of the embedded broker reads too slowly and is cut off", "limit", b.cfg.QueueLimit)
		_ = client.Close()
	}
	q.close()
	_ = redis.Close()
	copiers.Wait()
}

// hear passes on what a client says, first as a stranger's.
func (b *Broker) hear(client, redis net.Conn, q *queue) {
	_ = client.SetReadDeadline(time.Now().Add(b.cfg.patience))
	in := bufio.NewReader(client)
	if err := admit(redis, in, b.cfg.Password); err != nil {
		if errors.Is(err, errProtocol) {
			q.add([]byte("-ERR Protocol error\r\n"))
		}
		return
	}
	_ = client.SetReadDeadline(time.Time{})
	_, _ = in.WriteTo(redis)
}

// fill queues what comes from a connection until it ends; false when the queue
// has overrun before.
func fill(q *queue, from net.Conn) bool {
	buf := make([]byte, pieceSize)
	for {
		n, err := from.Read(buf)
		if n > 0 && !q.add(buf[:n]) {
			return !q.overrun.Load()
		}
		if err != nil {
			return true
		}
	}
}

// queue holds what waits for a client. One goroutine takes from it.
type queue struct {
	limit   int
	overrun atomic.Bool
	wake    chan struct{}

	mu     sync.Mutex // guards the fields below
	bytes  []byte
	taken  int // bytes that are being written
	closed bool
}

func newQueue(limit int) *queue { return &queue{limit: limit, wake: make(chan struct{}, 1)} }

// add queues a copy of b; false when the queue is closed or overrun.
func (q *queue) add(b []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if len(q.bytes)+q.taken+len(b) > q.limit {
		q.overrun.Store(true)
		q.closeLocked()
		return false
	}
	q.bytes = append(q.bytes, b...)
	q.signal()
	return true
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closeLocked()
}

func (q *queue) closeLocked() {
	q.closed = true
	q.signal()
}

// writeTo writes what is queued until the queue is closed or writing fails.
func (q *queue) writeTo(c net.Conn) {
	var spare []byte
	for {
		q.mu.Lock()
		piece, closed := q.bytes, q.closed
		if len(piece) > 0 {
			q.bytes, spare = spare, nil
		}
		q.taken = len(piece)
		q.mu.Unlock()
		if len(piece) == 0 {
			if closed {
				return
			}
			<-q.wake
			continue
		}
		if _, err := c.Write(piece); err != nil {
			q.close()
			return
		}
		if cap(piece) <= keptPiece {
			spare = piece[:0]
		}
	}
}
