package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/chat/embed"
	"example.com/chat/internal/admission"
	"example.com/chat/internal/cli"
	"example.com/chat/internal/conn"
	"example.com/chat/internal/engineio"
	"example.com/chat/internal/identity"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
	"example.com/chat/internal/redisopen"
	"example.com/chat/internal/relay"
	"example.com/chat/internal/room"
	"example.com/chat/internal/session"
	"example.com/chat/internal/socketio"
	"example.com/chat/internal/transport/websocket"
)

// Timings and bounds of a node's HTTP server.
const (
	headerWithin = 5 * time.Second
	answerWithin = 30 * time.Second
	// idleWithin is how long a connection may rest between two requests: longer than
	// the 60 s of common balancers, so that none of them sends a POST to a connection
	// that this node is just closing; and longer than relay.RestWithin.
	idleWithin = 90 * time.Second
	maxHeader  = 16 << 10
	// readyWithin is how long a node may take from its start to its first user.
	readyWithin = 15 * time.Second
	// drainSpread is the time over which a draining node sends its users away,
	// so that they don't all arrive elsewhere at once.
	drainSpread = time.Second
	// leaveWithin is how long the last words to Redis may take.
	leaveWithin = 2 * time.Second
	// requestsWithin is how long requests may take that are under way when a
	// drained node ends.
	requestsWithin = time.Second
)

// server is one node: from its listening to its end.
type server struct {
	opts     cli.NodeOptions
	log      *slog.Logger
	broker   *redisbroker.Broker
	hub      *room.Hub
	node     *session.Node
	sockets  *conn.Server
	ws       *websocket.Server
	io       *socketio.Server
	relay    *relay.Relay
	limiter  *admission.Limiter
	web      *admission.Connections
	http     *http.Server
	debug    *http.Server // nil without --debug-addr
	listener net.Listener
	peers    peers
	warned   warned
	policy   *admission.Policy
	meter    meter
	demo     *demo // nil outside of one
	maxConns int

	stopping  atomic.Bool // it takes users still, and says that it soon won't
	draining  atomic.Bool
	closeAll  func() // the connections to Redis
	elsewhere elsewhere
	runs      context.Context    // ends with the broker's own work
	stopRun   context.CancelFunc // ends the broker's own work
	running   sync.WaitGroup
	httpEnded chan error
}

// listen takes the address that a flag gives, and says what to do when it can't
// be had.
func listen(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("can't listen on %s: another program does already: choose another %s", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("can't listen on %s: not allowed: choose a port above 1023 for %s", addr, flag)
	case err != nil:
		return nil, fmt.Errorf("can't listen on %s: %w: choose another %s", addr, err, flag)
	}
	return l, nil
}

// startServer starts a node on the listener, which it owns from now on, joined
// to the others by the Redis given, and returns when it takes users. Close must
// be called once. parent has the controls of a demo; nil for none.
func startServer(ctx context.Context, opts cli.NodeOptions, listener net.Listener, redisURL string, parent *embed.Remote, log *slog.Logger) (*server, error) {
	s := &server{opts: opts, log: log, listener: listener, demo: newDemo(parent, listener.Addr()), httpEnded: make(chan error, 1)}
	debug, err := listenDebug(opts.DebugAddr, log)
	if err == nil {
		if err = s.build(ctx, redisURL); err != nil && debug != nil {
			_ = debug.Close()
		}
	}
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	runCtx, stop := context.WithCancel(context.Background())
	s.runs, s.stopRun = runCtx, stop
	s.running.Go(func() { s.broker.Run(runCtx, nodeFeed{s.hub.Feed(), s}) })
	s.running.Go(func() { s.httpEnded <- s.http.Serve(listener) })
	if debug != nil {
		s.debug = s.debugServer()
		s.running.Go(func() { _ = s.debug.Serve(debug) }) // ends with Close
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Close(0)
		return nil, err
	}
	s.broker.Hurry() // the first beat told others that it is not ready
	return s, nil
}

// newVerifier returns what checks users' JWTs, nil where users need none. A
// secret that is none is a *cli.UsageError; a key file that can't be used is any
// other error.
func newVerifier(opts cli.NodeOptions) (*identity.Verifier, error) {
	switch {
	case opts.JWTSecret != "":
		v, err := identity.NewSecretVerifier(opts.JWTSecret)
		if err != nil {
			return nil, &cli.UsageError{Message: "--jwt-secret " + err.Error()}
		}
		return v, nil
	case opts.JWTKeyFile != "":
		v, err := identity.NewFileVerifier(opts.JWTKeyFile)
		if err != nil {
			return nil, fmt.Errorf("--jwt-key-file: %q %w", opts.JWTKeyFile, err)
		}
		return v, nil
	}
	return nil, nil
}

func (s *server) build(ctx context.Context, redisURL string) error {
	target, err := redisopen.Parse(redisURL)
	if err != nil {
		return err
	}
	if err := target.Await(ctx, s.opts.Namespace, s.opts.WaitRedis, s.log); err != nil {
		return err
	}
	self := s.self()
	self.Peer, self.Tag, self.Machine = peerAddr(ctx, s.opts.PeerAddr, s.listener.Addr(), target), relay.NewTag(), machine()
	verifier, err := newVerifier(s.opts)
	if err != nil {
		return err
	}
	b, closeRedis, err := target.Open(ctx, redisbroker.Config{
		Namespace: s.opts.Namespace, History: s.opts.History, Replicas: s.opts.Replicas, Node: self, Vitals: s.beatVitals, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.broker, s.closeAll = b, closeRedis
	secret := []byte(s.opts.Secret)
	if len(secret) == 0 {
		if secret, err = b.Secret(ctx); err != nil {
			closeRedis()
			return err
		}
	}
	s.hub = room.New(room.Config{Node: self.ID, Limits: s.opts.Limits(), History: s.opts.History, Log: s.log}, b.Room())
	s.peers.self = self
	s.sockets = conn.NewServer(conn.Config{ReadLimit: s.opts.Limits().FrameLimit(), Log: s.log})
	users, web := shareFiles(fileLimit())
	s.policy = newPolicy(s.opts, s.peers.knows, s.log)
	s.limiter, s.web = admission.NewLimiter(admission.LimiterConfig{}), admission.NewConnections(web, s.policy.Trusted)
	s.maxConns = s.opts.MaxConns
	if s.maxConns == 0 {
		s.maxConns = users
	}
	s.node = &session.Node{
		ID: self.ID, Hub: s.hub, Cluster: s, Limits: s.opts.Limits(), Secret: secret, JWT: verifier, Log: s.log,
	}
	s.ws = websocket.NewServer(s.node, s.sockets)
	if err := s.buildSocketIO(secret); err != nil {
		closeRedis()
		return err
	}
	s.http = &http.Server{
		Handler:           s.policy.Guard(s.routes()),
		ReadHeaderTimeout: headerWithin,
		ReadTimeout:       answerWithin,
		WriteTimeout:      answerWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHeader,
		ConnState:         s.web.State,
		ConnContext:       engineio.WithConn,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return nil
}

// Descriptors that are not for users: filesKept for Redis, the listener and
// logs; and of the rest, for HTTP, one in webShare, but no fewer than webLeast
// where there are twice as many, and webMost at the most. Each WebSocket begins as
// a request, so webLeast is what may arrive in one moment.
const (
	filesKept = 128
	webShare  = 8
	webLeast  = 256
	webMost   = 4096
	// fileLimitUnknown is taken where the limit can't be read.
	fileLimitUnknown = 10_000
)

// shareFiles tells how many of the process's descriptors are for users, and how
// many for requests over HTTP.
func shareFiles(limit int) (users, web int) {
	rest := max(webShare, limit-filesKept)
	web = min(max(rest/webShare, min(webLeast, rest/2)), webMost)
	return rest - web, web
}

// self is what this node says of itself to the others.
func (s *server) self() redisbroker.NodeInfo {
	info := redisbroker.NodeInfo{ID: s.opts.NodeID, URL: s.opts.Advertise}
	if addr, ok := s.listener.Addr().(*net.TCPAddr); ok {
		info.Port = addr.Port
	}
	if info.ID == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "node"
		}
		info.ID = plainID(host) + "-" + strconv.Itoa(info.Port)
	}
	return info
}

// plainID keeps of a host's name what a node's id may hold.
func plainID(host string) string {
	id := []byte(host)
	for i, c := range id {
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
		if !plain {
			id[i] = '-'
		}
	}
	return string(id[:min(len(id), 48)])
}

func (s *server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.ready() != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the node did not get ready within %s: %w", readyWithin, s.ready())
		case err := <-s.httpEnded:
			return fmt.Errorf("serve: %w", err)
		case <-tick.C:
		}
	}
	return nil
}

var (
	errDraining = errors.New("this node is draining for a stop")
	errCatching = errors.New("this node is catching up with redis")
)

// ready returns nil while the node takes users, else why it does not.
func (s *server) ready() error {
	if s.stopping.Load() || s.draining.Load() {
		return errDraining
	}
	if err := s.broker.Ready(); err != nil {
		return err
	}
	if !s.hub.Up() {
		return errCatching
	}
	return nil
}

// delayDrain says that this node is about to stop, and serves all that come for as
// long as given, so that load balancers notice before the first request is
// refused. It returns how to stop then: SIGTERM to drain, also when another one cuts
// the wait short; anything else to end at once.
func (s *server) delayDrain(delay time.Duration, signals <-chan os.Signal, gone <-chan struct{}) os.Signal {
	if delay == 0 {
		return syscall.SIGTERM
	}
	s.stopping.Store(true)
	s.broker.Hurry() // so that others know
	s.log.Info("stopping", "draining_in", delay)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return syscall.SIGTERM
	case again := <-signals:
		return again
	case <-gone:
		return nil
	case <-s.httpEnded:
		return nil
	}
}

// Drain sends the users to other nodes, waits for them to go, at most as long
// as given, and closes the node.
func (s *server) Drain(longest time.Duration) {
	s.draining.Store(true)
	s.broker.Hurry() // so that others know
	deadline := time.Now().Add(longest)
	// Users of other nodes whose connections are passed on from here go too.
	ends := s.relay.Breaks()
	s.hub.Each(func(m room.Member) {
		ends = append(ends, func() { m.(*session.Session).Close(protocol.CloseDraining, "this node is stopping") })
	})
	s.log.Info("draining", "connections", s.connections())
	spread := min(drainSpread, longest/2)
	began := time.Now()
	for i, end := range ends {
		due := began.Add(spread * time.Duration(i) / time.Duration(len(ends)))
		time.Sleep(time.Until(due))
		end()
	}
	for s.sockets.Stats().Open+s.io.Stats().Engine.Open > 0 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	s.finishRequests(min(requestsWithin, time.Until(deadline)))
	s.Close(max(0, time.Until(deadline)))
}

// finishRequests takes no more requests and waits for those under way, at most as
// long as given: what comes now goes to other nodes. The polls of other nodes'
// sessions that wait here are let go.
func (s *server) finishRequests(longest time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	s.http.RegisterOnShutdown(s.relay.LetGo) // called when no more come; it ends soon
	_ = s.http.Shutdown(ctx)                 // what is left, Close ends
}

// Close ends the node: what is being said to Redis is finished, at most as long
// as given and a little more; connections that are left end.
func (s *server) Close(longest time.Duration) {
	s.draining.Store(true)
	s.relay.Close()
	s.sockets.Close()
	s.io.Close()
	ctx, cancel := context.WithTimeout(context.Background(), longest+leaveWithin)
	defer cancel()
	s.hub.Close(ctx)
	s.stopRun()
	if err := s.broker.Leave(ctx); err != nil {
		s.log.Warn("this node could not take its leave; the others will notice", "error", err)
	}
	_ = s.http.Close()
	if s.debug != nil {
		_ = s.debug.Close()
	}
	s.running.Wait()
	s.closeAll()
}

// nodeFeed is what the broker delivers to: what concerns rooms and users is the hub's,
// and the rest the node's.
type nodeFeed struct {
	room.Feed
	server *server
}

// NodesFor returns the live nodes, this one first (session.Cluster).
func (s *server) NodesFor(origin string) []protocol.Node { return s.peers.list(origin) }

// Rooms lists the rooms with users online or entries (session.Cluster).
func (s *server) Rooms(ctx context.Context, after string) (protocol.RoomPage, error) {
	return s.broker.Rooms(ctx, after)
}

// Nodes tells all users that the cluster changed (redisbroker.Listener).
func (l nodeFeed) Nodes(live []redisbroker.NodeInfo) {
	s := l.server
	s.peers.set(live)
	s.tellAll(func(origin string) protocol.Event { return protocol.NodeList(s.peers.list(origin)) })
}

// tellAll hands an event to all users that depends on the origin by which they came.
func (s *server) tellAll(event func(origin string) protocol.Event) {
	events := make(map[string]*room.Broadcast) // by origin
	s.hub.Each(func(m room.Member) {
		origin := m.(*session.Session).Origin()
		b := events[origin]
		if b == nil {
			b = room.NewBroadcast(event(origin))
			events[origin] = b
		}
		m.Deliver(b)
	})
}
