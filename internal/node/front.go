package node

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/conn"
	"example.com/chat/internal/engineio"
	"example.com/chat/internal/httpapi"
	"example.com/chat/internal/metrics"
	"example.com/chat/internal/relay"
)

// Timings and bounds of the HTTP servers.
const (
	headerTimeout = 5 * time.Second
	answerTimeout = 30 * time.Second
	// idleTimeout is how long a connection may be idle between two requests: longer
	// than the 60 s of common load balancers, so that none of them sends a POST on a
	// connection that this node is about to close; and longer than relay.RestWithin.
	idleTimeout = 90 * time.Second
	maxHeader   = 16 << 10
)

// front is the HTTP side of a node.
type front struct {
	policy     *admission.Policy
	limiter    *admission.Limiter
	plain      *admission.Connections // those that are not WebSockets
	conns      *conn.Server
	relay      *relay.Relay
	transports *httpapi.Transports
	http       *http.Server
	debug      *http.Server // nil without a debug listener
}

func newFront(n *Node, secret []byte) (*front, error) {
	cfg := &n.cfg
	users, plain := shareFiles(fileLimit())
	if cfg.MaxConns != 0 {
		users = cfg.MaxConns
	}
	f := &front{
		policy:  newPolicy(cfg, n.members.knows),
		limiter: admission.NewLimiter(admission.LimiterConfig{}),
		conns:   conn.NewServer(conn.Config{ReadLimit: cfg.Limits.FrameLimit(), Log: n.log}),
	}
	f.plain = admission.NewConnections(plain, f.policy.Trusted)
	var err error
	f.relay, err = relay.New(relay.Config{
		Tag: n.members.self.Tag, Secret: secret, Find: n.members.find, Longest: httpapi.RelayTimeout,
		Path: httpapi.PeerPath, ReleasePath: httpapi.ReleasePath, Log: n.log, MaxBody: cfg.Limits.FrameLimit(),
	})
	if err != nil {
		return nil, err
	}
	f.transports = httpapi.NewTransports(httpapi.TransportsConfig{
		Sessions: n.sessions, Policy: f.policy, Limiter: f.limiter, Conns: f.conns, Relay: f.relay,
		Knows: func(tag string) bool { _, ok := n.members.find(tag); return ok },
		Tag:   n.members.self.Tag, MaxConns: users, Draining: n.draining.Load, Log: n.log,
	})
	api := httpapi.New(httpapi.Config{
		Node: n, Sessions: n.sessions, Hub: n.hub, Transports: f.transports, Metrics: metrics.Handler(n.counts),
		UI: cfg.UI, Origins: cfg.Origins, Demo: cfg.Demo, Log: n.log,
	})
	f.http = newServer(api.Handler(), answerTimeout, n.log)
	f.http.ConnState = f.plain.State
	f.http.ConnContext = engineio.WithConn
	if cfg.Debug != nil {
		f.debug = newServer(api.DebugHandler(), httpapi.ProfileTimeout, n.log)
	}
	return f, nil
}

func newServer(handler http.Handler, writeTimeout time.Duration, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       answerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// counts returns the counts of the node's parts.
func (n *Node) counts() metrics.Counts {
	return metrics.Counts{
		Ready: n.Ready() == nil, Up: n.hub.Up(), Probe: n.broker.Probe(), Broker: n.broker.Stats(), Room: n.hub.Stats(),
		WebSocket: n.front.conns.Stats(), SocketIO: n.front.transports.SocketIO(), Handshakes: n.front.limiter.Stats(),
		Relay: n.front.relay.Stats(), Session: n.sessions.Stats(), Refused: n.front.policy.Count,
	}
}

// finishRequests accepts no more requests and waits for those in progress, at most for
// requestTimeout and until ctx ends. Polls that other nodes relay here are answered.
func (f *front) finishRequests(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	f.http.RegisterOnShutdown(f.relay.ReleasePolls) // called when no more requests come; it ends soon
	_ = f.http.Shutdown(ctx)                        // close ends what is left
}

func (f *front) close() {
	_ = f.http.Close()
	if f.debug != nil {
		_ = f.debug.Close()
	}
}

// newPolicy returns the policy that judges requests' Host and Origin. known reports
// whether another node served a page.
func newPolicy(cfg *Config, known func(page *url.URL, origin string) bool) *admission.Policy {
	hosts := append(machineNames(), cfg.Hosts...)
	if name, _, err := net.SplitHostPort(cfg.PeerAddr); err == nil && name != "" {
		hosts = append(hosts, name)
	}
	if u, err := url.Parse(cfg.Advertise); err == nil && u.Host != "" {
		hosts = append(hosts, u.Hostname())
	}
	return admission.NewPolicy(admission.PolicyConfig{
		Proxies: cfg.TrustProxy, Hosts: hosts, Origins: cfg.Origins, Known: known,
		Sealed: []string{httpapi.PeerPath, httpapi.ReleasePath}, Log: cfg.Log,
	})
}

// machineNames returns the names by which others of its network reach this machine:
// the host name, its first label, and that under .local (RFC 6762). A machine that
// could lead one of them elsewhere already decides what names mean here.
func machineNames() []string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return nil // IP addresses and localhost are left
	}
	label, _, _ := strings.Cut(name, ".")
	return []string{name, label, label + ".local"}
}

// How the process's file descriptors are shared: filesKept are for Redis, the
// listener and logs. Of the rest plain HTTP gets one in plainShare, but at least
// minPlain if there are twice as many, and at most maxPlain. Each WebSocket begins as
// a request, so minPlain of them may arrive at once.
const (
	filesKept  = 128
	plainShare = 8
	minPlain   = 256
	maxPlain   = 4096
	// defaultFileLimit is used if the limit cannot be read.
	defaultFileLimit = 10_000
)

// shareFiles returns how many of the process's file descriptors are for users, and
// how many for plain HTTP.
func shareFiles(limit int) (users, plain int) {
	rest := max(plainShare, limit-filesKept)
	plain = min(max(rest/plainShare, min(minPlain, rest/2)), maxPlain)
	return rest - plain, plain
}
