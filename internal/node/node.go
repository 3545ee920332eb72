package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/httpapi"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/relay"
	"example.com/chat/internal/room"
	"example.com/chat/internal/session"
)

// Timings of a node's life.
const (
	// readyTimeout is how long a node may take from its start until it is ready.
	readyTimeout = 15 * time.Second
	// drainSpread is the time over which a draining node closes its users'
	// connections, so that they do not all reconnect at once.
	drainSpread = time.Second
	// leaveTimeout bounds the last calls to Redis.
	leaveTimeout = 2 * time.Second
	// requestTimeout bounds the requests in progress at the end of a drain.
	requestTimeout = time.Second
)

// Node is one running node. Its methods may be called concurrently, except Drain and
// Close.
type Node struct {
	cfg      Config
	log      *slog.Logger
	broker   Broker
	hub      *room.Hub
	sessions *session.Node
	members  *members
	fallback *fallback
	front    *front // nil without a Listener
	rate     meter
	warner   warner

	stopping atomic.Bool // it accepts users, and reports that it will stop
	draining atomic.Bool // it accepts no users

	closeRedis func()
	runs       context.Context    // ends with the broker's own work
	stopRuns   context.CancelFunc // ends runs
	running    sync.WaitGroup
	ended      chan error // of the HTTP server
}

// Start starts a node and returns when it is ready to accept users. It owns the
// listeners from now on, and closes them if it fails. Close must be called once.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg.fill()
	n := &Node{cfg: cfg, log: cfg.Log, ended: make(chan error, 1)}
	if err := n.build(ctx); err != nil {
		closeListeners(&cfg)
		return nil, err
	}
	n.runs, n.stopRuns = context.WithCancel(context.Background())
	n.running.Go(func() { n.broker.Run(n.runs, feed{n.hub.Feed(), n}) })
	if n.front != nil {
		n.running.Go(func() { n.ended <- n.front.http.Serve(cfg.Listener) })
		if cfg.Debug != nil {
			n.running.Go(func() { _ = n.front.debug.Serve(cfg.Debug) }) // ends with Close
		}
	}
	if err := n.awaitReady(ctx); err != nil {
		n.Close(0)
		return nil, err
	}
	n.broker.Hurry() // the first heartbeat reported that it is not ready
	return n, nil
}

func (n *Node) build(ctx context.Context) error {
	info := cluster.NodeInfo{
		ID: n.cfg.ID, URL: n.cfg.Advertise, Port: n.cfg.port(), Peer: n.cfg.PeerAddr, Tag: relay.NewTag(), Machine: machine(),
	}
	n.members = &members{self: info}
	b, closeRedis, err := n.cfg.Open(ctx, info, n.heartbeatStatus)
	if err != nil {
		return err
	}
	n.broker, n.closeRedis = b, closeRedis
	secret := n.cfg.Secret
	if len(secret) == 0 {
		if secret, err = b.Secret(ctx); err != nil {
			closeRedis()
			return err
		}
	}
	n.hub = room.New(room.Config{Node: info.ID, Limits: n.cfg.Limits, History: n.cfg.History, Log: n.log, Jitter: n.cfg.Jitter}, b.Room())
	n.fallback = &fallback{members: n.members, status: b.Statuses}
	n.sessions = &session.Node{
		ID: info.ID, Hub: n.hub, Cluster: directory{n.members, n.fallback, b}, Limits: n.cfg.Limits, Secret: secret, JWT: n.cfg.JWT, Log: n.log,
	}
	if n.cfg.Listener == nil {
		return nil
	}
	if n.front, err = newFront(n, secret); err != nil {
		closeRedis()
	}
	return err
}

func closeListeners(cfg *Config) {
	for _, l := range []net.Listener{cfg.Listener, cfg.Debug} {
		if l != nil {
			_ = l.Close()
		}
	}
}

func (n *Node) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	select {
	case <-n.hub.FirstUp():
		return nil
	case err := <-n.ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	err := n.Ready()
	if err == nil { // just now
		err = ctx.Err()
	}
	return fmt.Errorf("the node did not get ready within %s: %w", readyTimeout, err)
}

var errCatchingUp = errors.New("this node is catching up with redis")

// Ready returns nil while the node accepts users, else the reason why not.
func (n *Node) Ready() error {
	if n.stopping.Load() || n.draining.Load() {
		return httpapi.ErrDraining
	}
	if err := n.broker.Ready(); err != nil {
		return err
	}
	if !n.hub.Up() {
		return errCatchingUp
	}
	return nil
}

// ID returns the node's name.
func (n *Node) ID() string { return n.cfg.ID }

// Sessions returns what the sessions of this node share, for transports other than
// those that the node serves.
func (n *Node) Sessions() *session.Node { return n.sessions }

// Ended receives the error of the HTTP server if it ends by itself.
func (n *Node) Ended() <-chan error { return n.ended }

// AnnounceStop reports to load balancers and to the other nodes that this node will
// drain after delay; until then it accepts users. It does not wait.
func (n *Node) AnnounceStop(delay time.Duration) {
	n.stopping.Store(true)
	n.broker.Hurry() // so that the other nodes know
	n.log.Info("stopping", "draining_in", delay)
}

// Drain closes the users' connections so that they reconnect to other nodes, waits
// for them to end, at most limit, and closes the node.
func (n *Node) Drain(limit time.Duration) {
	n.draining.Store(true)
	n.broker.Hurry() // so that the other nodes know
	deadline := time.Now().Add(limit)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	n.log.Info("draining", "connections", n.connections())
	n.dismiss(ctx, min(drainSpread, limit/2))
	if n.front != nil {
		_ = n.front.transports.AwaitUsers(ctx) // Close ends those that are left
		n.front.finishRequests(ctx)
	}
	n.Close(max(0, time.Until(deadline)))
}

// dismiss closes the users' connections at even intervals over the time spread; if ctx
// ends, or all users have left by themselves, it closes the rest at once.
func (n *Node) dismiss(ctx context.Context, spread time.Duration) {
	ctx, stop := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer stop()
	var ends []func()
	if n.front != nil {
		ends = n.front.relay.Breaks() // users of other nodes that are relayed by this one
		if len(ends) == 0 {
			waiting.Go(func() { // ends with ctx; waited for above
				_ = n.front.transports.AwaitUsers(ctx)
				stop()
			})
		}
	}
	n.hub.Each(func(m room.Member) {
		ends = append(ends, func() { m.(*session.Session).Close(protocol.CloseDraining, "this node is stopping") })
	})
	spreadOver(ctx, spread, ends)
}

// spreadOver calls functions at even intervals over a time, the first one now; when ctx
// ends, it calls the rest at once.
func spreadOver(ctx context.Context, spread time.Duration, calls []func()) {
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, call := range calls {
		timer.Reset(time.Until(began.Add(spread * time.Duration(i) / time.Duration(len(calls)))))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		call()
	}
}

// Close ends the node. It finishes the calls to Redis, within limit and leaveTimeout,
// and ends the connections that are left.
func (n *Node) Close(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit+leaveTimeout)
	defer cancel()
	if err := n.end(ctx); err != nil {
		n.log.Warn("this node could not take its leave; the others will notice", "error", err)
	}
}

// Kill ends the node in place of Close, and abandons its calls to Redis, as the death
// of its process does. A simulation uses it.
func (n *Node) Kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.end(ctx) // what a dead process does not say
}

// end ends the node, and its calls to Redis with ctx. It returns the error of the last
// one.
func (n *Node) end(ctx context.Context) error {
	n.draining.Store(true)
	if n.front != nil {
		n.front.transports.Close()
	}
	n.hub.Close(ctx)
	n.stopRuns()
	err := n.broker.Leave(ctx)
	if n.front != nil {
		n.front.close()
	}
	n.running.Wait()
	n.closeRedis()
	return err
}

// connections returns the number of open connections.
func (n *Node) connections() int {
	if n.front == nil {
		return 0
	}
	return n.front.transports.Connections()
}

// broadcast delivers an event to all users, which depends on the origin by which
// each reached this node.
func (n *Node) broadcast(event func(origin string) protocol.Event) {
	events := make(map[string]*room.Broadcast) // by origin
	n.hub.Each(func(m room.Member) {
		origin := m.(*session.Session).Origin()
		b := events[origin]
		if b == nil {
			b = room.NewBroadcast(event(origin))
			events[origin] = b
		}
		m.Deliver(b)
	})
}
