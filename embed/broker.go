// Package embed runs a Redis-compatible broker inside the process, so that nodes on one
// machine need no Redis.
package embed

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"sync"
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

	now        func() time.Time  // default time.Now
	trace      func(native bool) // called for each EVALSHA; may be nil
	maxClients int               // default maxClients
	patience   time.Duration     // with a client that gives no password; default strangerPatience
}

// Bounds of the broker.
const (
	queueLimit    = 32 << 20
	maxClients    = 10_000
	passwordBytes = 24
	acceptPause   = 50 * time.Millisecond
	// lastWords is how long a client has to take what waits for it when the connection
	// has ended, as after QUIT.
	lastWords = time.Second
)

// Broker is a miniredis behind connections of its own. A client that stops
// reading would freeze all of miniredis, which writes to it under a lock, and malformed
// commands make it panic: so the broker reads commands itself, passes them to miniredis
// one at a time, and keeps what the client does not accept in a bounded queue. The chat's
// scripts are carried out by package native. Keys with a time to live never expire, since
// miniredis has no clock that moves by itself.
type Broker struct {
	cfg      BrokerConfig
	redis    *miniredis.Miniredis
	engine   *engine
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
	if cfg.now == nil {
		cfg.now = time.Now
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
	if b.engine, err = newEngine(b.redis, cfg); err != nil {
		_ = listener.Close()
		return nil, err
	}
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
	b.mu.Unlock()
	b.closeClients()
	_ = b.listener.Close()
	b.redis.CtxCancel() // commands that wait
	b.running.Wait()
	b.redis.Close()
}

// Stop has the broker be away: it cuts off its clients and takes no others until
// Start. It keeps what it holds, and its port.
func (b *Broker) Stop() {
	b.mu.Lock()
	b.stopped = true
	b.mu.Unlock()
	b.closeClients()
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

// serve carries out a client's commands until it ends.
func (b *Broker) serve(conn net.Conn) {
	defer b.remove(conn)
	defer conn.Close()
	out := newQueue(b.cfg.QueueLimit, conn)
	c := newConnection(b, conn, out)
	c.interrupt = func(now bool) {
		at := time.Time{}
		if now {
			at = time.Now()
		}
		_ = conn.SetReadDeadline(at)
	}
	var writing sync.WaitGroup
	writing.Go(out.write) // ends with the queue or the connection
	defer writing.Wait()
	defer out.close()
	defer c.end()
	_ = conn.SetReadDeadline(time.Now().Add(b.cfg.patience))
	var err error
	for err == nil && !c.admitted && !c.peer.Closed() {
		err = c.next()
	}
	_ = conn.SetReadDeadline(time.Time{})
	if err == nil {
		_ = c.serve()
	}
	if out.overrun.Load() {
		b.cfg.Log.Warn("a client of the embedded broker reads too slowly and is cut off", "limit", b.cfg.QueueLimit)
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(lastWords))
}

// remove forgets a client.
func (b *Broker) remove(conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.clients, conn)
}

// closeClients closes the connections of all clients.
func (b *Broker) closeClients() {
	b.mu.Lock()
	clients := slices.Collect(maps.Keys(b.clients))
	b.mu.Unlock()
	for _, conn := range clients {
		_ = conn.Close()
	}
}
