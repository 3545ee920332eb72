package sim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisServer is the embedded broker, and the network between it and the nodes.
type redisServer struct {
	mini *miniredis.Miniredis

	mu     sync.Mutex // guards the fields below
	links  []*link    // in the order in which they were opened, which a seed's choices depend on
	away   bool
	offset time.Duration // of its clock
}

// link is one connection of a node to the broker.
type link struct {
	node       *network
	near, far  *conn
	serverSide net.Conn
	subscribed atomic.Bool // it is subscribed
	deaf       atomic.Bool // published messages are dropped, and the connection stays open
}

// network is one node's path to Redis.
type network struct {
	server *redisServer

	seed uint64 // decides the latencies

	mu      sync.Mutex // guards the fields below
	latency latency
	cut     bool // new connections fail
	frozen  bool
}

var usual = latency{100 * time.Microsecond, 2 * time.Millisecond}

func startRedis() *redisServer { return &redisServer{mini: miniredis.NewMiniRedis()} }

// from makes a path to the broker.
func (s *redisServer) from(seed uint64, l latency) *network {
	return &network{server: s, seed: seed, latency: l}
}

var errRefused = errors.New("connection refused")

// dial opens a connection of a node.
func (n *network) dial(context.Context, string, string) (net.Conn, error) {
	s := n.server
	n.mu.Lock()
	l, cut, frozen := n.latency, n.cut, n.frozen
	n.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if cut || s.away {
		return nil, errRefused
	}
	inside, err := s.mini.Dial()
	if err != nil {
		return nil, err
	}
	near, far := pipe(n.seed, l)
	k := &link{node: n, near: near, far: far, serverSide: inside}
	s.links = append(s.links, k)
	go s.copy(k, push{k}, inside) // both end with the link
	go s.copy(k, inside, ask{k})
	if frozen {
		k.freeze(true)
	}
	return near, nil
}

// copy forwards one direction until it ends, and then ends the link.
func (s *redisServer) copy(k *link, to io.Writer, from io.Reader) {
	_, _ = io.Copy(to, from)
	_ = k.serverSide.Close()
	s.drop(k, false)
}

// ask is the direction of a link to Redis.
type ask struct{ *link }

// Read notices when the link becomes a subscription (io.Reader).
func (a ask) Read(b []byte) (int, error) {
	n, err := a.far.Read(b)
	if bytes.Contains(bytes.ToLower(b[:n]), []byte("subscribe")) {
		a.subscribed.Store(true)
	}
	return n, err
}

// push is the direction of a link from Redis.
type push struct{ *link }

// Write forwards the bytes, unless they are dropped (io.Writer).
func (p push) Write(b []byte) (int, error) {
	if p.subscribed.Load() && p.deaf.Load() {
		return len(b), nil
	}
	return p.far.Write(b)
}

// deafen makes the present connections of a node drop published messages.
func (n *network) deafen(on bool) { n.server.each(n, func(k *link) { k.deaf.Store(on) }) }

// drop ends a link. Data in transit arrives, unless lose is set.
func (s *redisServer) drop(k *link, lose bool) {
	s.mu.Lock()
	s.links = slices.DeleteFunc(s.links, func(other *link) bool { return other == k })
	s.mu.Unlock()
	k.near.in.end(io.EOF, lose)
	k.near.out.end(io.EOF, lose)
}

func (k *link) freeze(on bool) {
	k.near.in.freeze(on)
	k.near.out.freeze(on)
}

// each calls f for the links of one node, or of all with nil.
func (s *redisServer) each(n *network, f func(*link)) {
	s.mu.Lock()
	var list []*link
	for _, k := range s.links {
		if n == nil || k.node == n {
			list = append(list, k)
		}
	}
	s.mu.Unlock()
	for _, k := range list {
		f(k)
	}
}

func (n *network) setCut(on bool) {
	n.mu.Lock()
	n.cut = on
	n.mu.Unlock()
}

func (n *network) freeze(on bool) {
	n.mu.Lock()
	n.frozen = on
	n.mu.Unlock()
	n.server.each(n, func(k *link) { k.freeze(on) })
}

func (n *network) slow(l latency) {
	n.mu.Lock()
	n.latency = l
	n.mu.Unlock()
	n.server.each(n, func(k *link) {
		k.near.in.slow(l)
		k.near.out.slow(l)
	})
}

func (s *redisServer) setAway(on bool) {
	s.mu.Lock()
	s.away = on
	s.mu.Unlock()
}

// tick moves the clock of Redis, which does not run by itself once it was set.
func (s *redisServer) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offset != 0 {
		s.mini.SetTime(time.Now().Add(s.offset))
	}
}

// client makes a client like the one that the program makes.
func (n *network) client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: "redis", Dialer: n.dial, Protocol: 2, PoolSize: 48, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second, PoolTimeout: 2 * time.Second,
		ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
