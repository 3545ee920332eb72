package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	gorilla "github.com/gorilla/websocket"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/conn"
	"example.com/chat/internal/engineio"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/relay"
	"example.com/chat/internal/session"
	"example.com/chat/internal/socketio"
	chatio "example.com/chat/internal/transport/socketio"
	"example.com/chat/internal/transport/websocket"
)

// The paths of Socket.IO.
const (
	socketIOPath = "/socket.io/"
	socketIOBare = "/socket.io" // of clients with addTrailingSlash: false
	// PeerPath is where other nodes relay requests that belong to a session of this
	// node.
	PeerPath = "/peer/socket.io/"
	// ReleasePath is where other nodes ask this one to answer a waiting poll.
	ReleasePath = "/peer/release"
)

// Timings of Socket.IO, which its handshake announces.
const (
	pingInterval = 25 * time.Second
	pingTimeout  = 20 * time.Second
	// linger is how long a polling client that was closed may take to learn of it.
	// Until then it counts as a connection.
	linger = 3 * time.Second
	// RelayTimeout is how long a relayed request may take: a poll waits until the
	// next ping at most, and then the client has its time to answer.
	RelayTimeout = pingInterval + pingTimeout + 10*time.Second
)

// ErrDraining is the reason why a node that stops accepts no users.
var ErrDraining = errors.New("this node is draining for a stop")

// TransportsConfig configures a Transports. All fields are required.
type TransportsConfig struct {
	Sessions *session.Node
	Policy   *admission.Policy
	Limiter  *admission.Limiter
	// Conns are the WebSocket connections.
	Conns *conn.Server
	// Relay passes requests on to the nodes that hold their sessions. Knows reports
	// whether a live node has the tag.
	Relay *relay.Relay
	Knows func(tag string) bool
	// Tag is this node's in the ids of its Socket.IO sessions.
	Tag string
	// MaxConns is the number of connections that the node accepts.
	MaxConns int
	// Draining reports whether the node refuses new connections because it stops.
	Draining func() bool
	Log      *slog.Logger
}

// Transports admits connections and serves them over WebSocket and Socket.IO.
type Transports struct {
	cfg TransportsConfig
	ws  *websocket.Server
	io  *socketio.Server
}

// NewTransports returns the transports of a node. Close ends their connections.
func NewTransports(cfg TransportsConfig) *Transports {
	t := &Transports{cfg: cfg, ws: websocket.NewServer(cfg.Sessions, cfg.Conns)}
	t.io = chatio.NewServer(cfg.Sessions, engineio.Config{
		Allow:        t.allowOrigin,
		AnyOrigin:    cfg.Policy.AnyOrigin(),
		Admit:        t.admitSocketIO,
		Owner:        cfg.Tag,
		Elsewhere:    t.relay,
		Identity:     relay.Identity,
		PingInterval: pingInterval,
		PingTimeout:  pingTimeout,
		Linger:       linger,
		MaxPayload:   cfg.Sessions.Limits.FrameLimit(),
		MaxSessions:  cfg.MaxConns,
		Log:          cfg.Log,
	})
	return t
}

// Register adds the routes of the transports.
func (t *Transports) Register(mux *http.ServeMux) {
	mux.HandleFunc("/ws", t.serveWebSocket)
	mux.Handle(socketIOPath, t.io)
	mux.Handle(socketIOBare, t.io)
	mux.Handle(PeerPath, t.cfg.Relay.Take(http.HandlerFunc(t.io.ServeOwn)))
	mux.Handle(ReleasePath, t.cfg.Relay.Take(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.io.ReleasePoll(r.URL.Query().Get("sid"))
	})))
}

// SocketIO returns the counts of Socket.IO.
func (t *Transports) SocketIO() socketio.Stats { return t.io.Stats() }

// Users returns the number of connections whose sessions are on this node.
func (t *Transports) Users() int { return t.cfg.Conns.Stats().Open + t.io.Stats().Engine.Open }

// AwaitUsers waits until no connection of Users is open. If ctx ends first, it returns
// its error.
func (t *Transports) AwaitUsers(ctx context.Context) error {
	for t.Users() > 0 {
		for _, empty := range []<-chan struct{}{t.cfg.Conns.Empty(), t.io.Empty()} {
			select {
			case <-empty:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// Connections returns the number of open connections: those of Users, and two for
// each request that is relayed.
func (t *Transports) Connections() int { return t.Users() + 2*t.cfg.Relay.Stats().Open }

// Close ends all connections.
func (t *Transports) Close() {
	t.cfg.Relay.Close()
	t.cfg.Conns.Close()
	t.io.Close()
}

func (t *Transports) full() bool { return t.Connections() >= t.cfg.MaxConns }

func (t *Transports) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	if !t.allowOrigin(r) {
		writeError(w, protocol.Errorf(protocol.CodeForbidden, "pages of this origin may not connect: see --origin"))
		return
	}
	slot := t.acquire(w, r)
	if slot == nil {
		return
	}
	if !gorilla.IsWebSocketUpgrade(r) {
		slot.Release()
		writeError(w, protocol.Errorf(protocol.CodeBadField,
			"this is the address of a WebSocket, and the request has no Upgrade line: a proxy in between has to pass it on"))
		return
	}
	if t.full() {
		slot.Release()
		t.ws.Refuse(w, r, protocol.CloseFull, "this node is full")
		return
	}
	_ = t.ws.Serve(w, r, admission.Origin(r), slot) // it answers by itself
}

// allowOrigin reports whether a page of a request's origin may connect. It counts
// and logs a refusal.
func (t *Transports) allowOrigin(r *http.Request) bool {
	ok := t.cfg.Policy.Allowed(r)
	if !ok {
		t.cfg.Policy.Refused(r, admission.ReasonOrigin)
	}
	return ok
}

// admitSocketIO admits a new session, or answers why not.
func (t *Transports) admitSocketIO(w http.ResponseWriter, r *http.Request) (any, bool) {
	slot := t.acquire(w, r)
	if slot == nil {
		return nil, false
	}
	if t.full() {
		slot.Release()
		writeFull(w)
		return nil, false
	}
	return chatio.NewHandshake(admission.Origin(r), slot), true
}

// relay passes a request on to the node that holds its session.
func (t *Transports) relay(tag string, w http.ResponseWriter, r *http.Request) bool {
	if !t.cfg.Knows(tag) {
		return false
	}
	if t.full() {
		writeFull(w)
		return true
	}
	w.Header().Del("Cache-Control") // the owner's answer brings its own
	return t.cfg.Relay.Forward(tag, w, r)
}

// writeFull answers that the node accepts no more connections.
func writeFull(w http.ResponseWriter) {
	full := protocol.Errorf(protocol.CodeUnavailable, "this node is full: try another one")
	full.RetryAfter = time.Second.Milliseconds()
	writeError(w, full)
}

// acquire returns a handshake slot for a request, or nil after it has answered why
// there is none.
func (t *Transports) acquire(w http.ResponseWriter, r *http.Request) *admission.Slot {
	if t.cfg.Draining() {
		stopping := protocol.Errorf(protocol.CodeUnavailable, "%v: use another one", ErrDraining)
		stopping.RetryAfter = time.Second.Milliseconds()
		writeError(w, stopping)
		return nil
	}
	slot, wait := t.cfg.Limiter.Acquire(admission.ParseAddr(r.RemoteAddr))
	if slot == nil {
		busy := protocol.Errorf(protocol.CodeUnavailable, "too many come at once: try another node, or this one after retry_after")
		busy.RetryAfter = max(1, wait.Milliseconds())
		w.Header().Set("Connection", "close")
		writeError(w, busy)
	}
	return slot
}
