package main

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/engineio"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisopen"
	"example.com/chat/internal/relay"
	"example.com/chat/internal/transport/socketio"
)

// socketIOPath is where clients of Socket.IO come, and peerPath where other nodes
// pass on what reached them and belongs to a session of this one.
const (
	socketIOPath = "/socket.io/"
	socketIOBare = "/socket.io" // of clients with addTrailingSlash: false
	peerPath     = "/peer/socket.io/"
	letGoPath    = "/peer/let-go"
)

// Timings of Socket.IO, which clients are told.
const (
	ioPingInterval = 25 * time.Second
	ioPingTimeout  = 20 * time.Second
	// ioLinger is how long a polling client that was closed may take to hear of
	// it. Until then it counts as a connection.
	ioLinger = 3 * time.Second
	// passedWithin is how long a request may take that was passed on: a poll waits
	// until the next ping at most, and a client's time to answer it is added.
	passedWithin = ioPingInterval + ioPingTimeout + 10*time.Second
)

// buildSocketIO makes the second transport, and what passes requests on to the
// nodes that hold their sessions.
func (s *server) buildSocketIO(secret []byte) error {
	var err error
	s.relay, err = relay.New(relay.Config{
		Tag: s.peers.self.Tag, Secret: secret, Find: s.peers.find, Longest: passedWithin, Path: peerPath, LetGoPath: letGoPath, Log: s.log,
		MaxBody: s.opts.Limits().FrameLimit(),
	})
	if err != nil {
		return err
	}
	s.io = socketio.NewServer(s.node, engineio.Config{
		Allow:        s.admitOrigin,
		AnyOrigin:    s.policy.AnyOrigin(),
		Admit:        s.admitSocketIO,
		Owner:        s.peers.self.Tag,
		Elsewhere:    s.passOn,
		Identity:     relay.Identity,
		PingInterval: ioPingInterval,
		PingTimeout:  ioPingTimeout,
		Linger:       ioLinger,
		MaxPayload:   s.opts.Limits().FrameLimit(),
		MaxSessions:  s.maxConns,
		Log:          s.log,
	})
	return nil
}

// admitSocketIO lets a new session in, or answers why not.
func (s *server) admitSocketIO(w http.ResponseWriter, r *http.Request) (any, bool) {
	slot := s.acquire(w, r)
	if slot == nil {
		return nil, false
	}
	if s.connections() >= s.maxConns {
		slot.Release()
		writeFull(w)
		return nil, false
	}
	return socketio.NewHandshake(admission.Origin(r), slot), true
}

// passOn passes a request on to the node that holds its session.
func (s *server) passOn(tag string, w http.ResponseWriter, r *http.Request) bool {
	if _, ok := s.peers.find(tag); !ok {
		return false
	}
	if s.connections() >= s.maxConns {
		writeFull(w)
		return true
	}
	w.Header().Del("Cache-Control") // the owner's answer brings its own
	return s.relay.Forward(tag, w, r)
}

// writeFull answers that the node takes no more connections.
func writeFull(w http.ResponseWriter) {
	full := protocol.Errorf(protocol.CodeUnavailable, "this node is full: try another one")
	full.RetryAfter = time.Second.Milliseconds()
	writeError(w, full)
}

// connections are all that are open: those of users here, and two for each request
// that is passed on.
func (s *server) connections() int {
	return s.sockets.Stats().Open + s.io.Stats().Engine.Open + 2*s.relay.Stats().Open
}

// acquire returns a handshake slot for a request, or nil when it has answered why
// there is none.
func (s *server) acquire(w http.ResponseWriter, r *http.Request) *admission.Slot {
	if s.draining.Load() {
		stopping := protocol.Errorf(protocol.CodeUnavailable, "%v: use another one", errDraining)
		stopping.RetryAfter = time.Second.Milliseconds()
		writeError(w, stopping)
		return nil
	}
	slot, wait := s.limiter.Acquire(admission.ParseAddr(r.RemoteAddr))
	if slot == nil {
		busy := protocol.Errorf(protocol.CodeUnavailable, "too many come at once: try another node, or this one after retry_after")
		busy.RetryAfter = max(1, wait.Milliseconds())
		w.Header().Set("Connection", "close")
		writeError(w, busy)
	}
	return slot
}

// peerAddr is the address by which other nodes reach this one: as it was given;
// else where it listens; where that is on all addresses, by the one from which it
// reaches Redis, since that network the nodes have in common.
func peerAddr(ctx context.Context, given string, listener net.Addr, redis redisopen.Target) string {
	if given != "" {
		return given
	}
	addr, ok := listener.(*net.TCPAddr)
	if !ok {
		return ""
	}
	if !addr.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort(redis.LocalIP(ctx), strconv.Itoa(addr.Port))
}
