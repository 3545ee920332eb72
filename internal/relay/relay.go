// Package relay forwards requests between the nodes of a cluster: a request that
// reached one node, but belongs to a session of another, goes to that owner, and the
// answer back. It relays polls and whole WebSockets.
//
// A relayed request is sealed with a key that only the nodes of the cluster have. The
// owner accepts it once, and never relays it again; so it can trust what the seal says
// about the client.
package relay

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// Config identifies a node and configures how it finds the others.
type Config struct {
	// Tag is the node's tag in the ids of its sessions; see NewTag.
	Tag string
	// Secret is the secret that the nodes share.
	Secret []byte
	// Find returns the address of the live node with a tag.
	Find func(tag string) (addr string, ok bool)
	// Longest is how long the owner may take to answer a poll that it has accepted.
	Longest time.Duration
	// MaxBody is the largest body that is buffered to be sent again.
	MaxBody int64
	// Path is the route for relayed requests, and ReleasePath the route for requests to
	// answer a poll at once, whose session is in "sid".
	Path, ReleasePath string
	// Log gets messages for the operator.
	Log *slog.Logger
}

// RestWithin is how long a connection to another node may rest between two requests.
// Servers must keep idle connections longer, so that none is used as it ends.
const RestWithin = 30 * time.Second

// Timeouts and sizes of the connections to other nodes.
const (
	restMost = 64 // for each node
	// releaseTimeout bounds the time for asking owners to answer their polls.
	releaseTimeout = time.Second
	copyBytes      = 8 << 10
)

// Relay is the relay of one node.
type Relay struct {
	cfg       Config
	key       []byte
	transport *http.Transport
	proxy     *httputil.ReverseProxy
	count     atomic.Uint64 // numbers the relayed requests

	passed, failed, refused atomic.Int64

	windows windows

	mu     sync.Mutex // guards the fields below
	closed bool
	open   map[*forward]struct{}
	ended  sync.WaitGroup
	warned time.Time // when a failure was last logged
	silent int       // failures since then
}

// Stats are the counts of a Relay.
type Stats struct {
	// Open is the number of requests in flight, Passed that of all relayed so far, and
	// Failed that of those without an answer of their owner.
	Open           int
	Passed, Failed int64
	// Refused counts requests that arrived without a valid seal.
	Refused int64
}

// forward is one request to its owner.
type forward struct {
	tag, addr string
	sid       string // of a poll; "" for other requests
	client    string // as in http.Request.RemoteAddr
	scheme    string // of the client's URL
	upgrade   bool
	cancel    context.CancelFunc
	body      func() io.Reader // of the request; callable repeatedly if it is buffered
	whole     bool
	err       error // why there was no answer
}

// forwardKey is the context key of a forward.
type forwardKey struct{}

// tagBytes is enough to make tags unique.
const tagBytes = 9

// sealRefused is the body of the answer to an invalid seal. The relaying node treats it
// like no answer, as from a node that is gone.
const sealRefused = "refused"

// NewTag returns a random tag for a node that starts.
func NewTag() string {
	var b [tagBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// New returns a Relay; Close ends it.
func New(cfg Config) (*Relay, error) {
	key, err := hkdf.Key(sha256.New, cfg.Secret, nil, "chat: requests between nodes", sha256.Size)
	if err != nil {
		return nil, err
	}
	p := &Relay{cfg: cfg, key: key, open: make(map[*forward]struct{})}
	p.transport = &http.Transport{
		DialContext:         dialer.DialContext,
		MaxIdleConnsPerHost: restMost,
		IdleConnTimeout:     RestWithin,
		DisableCompression:  true,
	}
	p.proxy = &httputil.ReverseProxy{
		Rewrite:   p.rewrite,
		Transport: asker{p},
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			f, _ := r.Context().Value(forwardKey{}).(*forward)
			f.err = err
		},
		ModifyResponse: func(answer *http.Response) error {
			if answer.Header.Get(sealHeader) == sealRefused {
				return errRefused // another node started at the owner's address
			}
			return nil
		},
		BufferPool: &buffers{},
		ErrorLog:   slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return p, nil
}

// Forward relays a request to the node with the tag, and its answer back. RemoteAddr,
// Host and URL.Scheme are the client's, and the owner sees them. It returns false if
// there is no such node any more; then it has written nothing. If the node is there but
// does not answer, or can't be reached, the client gets 503, since its session may be
// alive.
func (p *Relay) Forward(tag string, w http.ResponseWriter, r *http.Request) bool {
	addr, ok := p.cfg.Find(tag)
	if !ok {
		return false
	}
	f := &forward{tag: tag, addr: addr, client: r.RemoteAddr, scheme: r.URL.Scheme}
	if websocket.IsWebSocketUpgrade(r) && r.Method == http.MethodGet && r.ContentLength == 0 {
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context())) // it outlives the request
		f.cancel, f.upgrade = cancel, true
		if !p.begin(f) {
			cancel()
			return false
		}
		p.passed.Add(1)
		return p.outcome(w, r, f, p.tunnel(ctx, f, w, r, func() {
			cancel()
			p.end(f)
		}))
	}
	return p.forward(f, w, r)
}

// forward relays a request with one answer.
func (p *Relay) forward(f *forward, w http.ResponseWriter, r *http.Request) bool {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	f.cancel = cancel
	if r.Method == http.MethodGet {
		f.sid = r.URL.Query().Get("sid")
	}
	if !p.begin(f) {
		return false
	}
	defer p.end(f)
	if f.load(w, r, p.cfg.MaxBody) != nil { // the client broke off
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusBadRequest)
		return true
	}
	// The server's own deadlines are for requests that are answered at once.
	control, until := http.NewResponseController(w), time.Now().Add(p.cfg.Longest+acceptWithin)
	_ = control.SetReadDeadline(until)
	_ = control.SetWriteDeadline(until)
	p.passed.Add(1)
	p.proxy.ServeHTTP(w, r.WithContext(context.WithValue(ctx, forwardKey{}, f)))
	return p.outcome(w, r, f, f.err)
}

// outcome handles a request without an answer of its owner.
func (p *Relay) outcome(w http.ResponseWriter, r *http.Request, f *forward, err error) bool {
	if err == nil || r.Context().Err() != nil {
		return true
	}
	p.failed.Add(1)
	p.warn(f, err)
	if errors.Is(err, errRefused) || errors.Is(err, syscall.ECONNREFUSED) {
		return false // no node is there that could own the session
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"error":{"code":"unavailable","message":"the node that holds this session does not answer: try again"}}` + "\n"))
	return true
}

// warnEvery is how often a failure is logged.
const warnEvery = time.Minute

// warn logs that a request could not be relayed, at most once a minute.
func (p *Relay) warn(f *forward, err error) {
	p.mu.Lock()
	more, now := p.silent, time.Now()
	quiet := now.Sub(p.warned) < warnEvery
	if quiet {
		p.silent++
	} else {
		p.warned, p.silent = now, 0
	}
	p.mu.Unlock()
	if !quiet {
		p.cfg.Log.Warn("a request could not be passed on to the node that holds its session", "peer", f.addr, "error", err, "before", more)
	}
}

// rewrite addresses a request to its owner (httputil.ReverseProxy).
func (p *Relay) rewrite(r *httputil.ProxyRequest) {
	f, _ := r.In.Context().Value(forwardKey{}).(*forward)
	p.address(r.Out, f, r.In)
}

// address sets the owner's URL and the seal of a request.
func (p *Relay) address(out *http.Request, f *forward, in *http.Request) {
	out.URL.Scheme, out.URL.Host = "http", f.addr
	out.URL.Path, out.URL.RawPath = p.cfg.Path, ""
	out.Host = in.Host
}

func (p *Relay) begin(f *forward) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.open[f] = struct{}{}
	p.ended.Add(1)
	return true
}

func (p *Relay) end(f *forward) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, f)
	p.ended.Done()
}

// identityKey is the context key of the value that Identity returns.
type identityKey struct{}

// identity identifies a relayed request.
type identity struct{ from, number string }

// Identity returns which node relayed a request that Take accepted, and a number that
// is unique among that node's requests and the same for repeats; "" for other requests.
func Identity(r *http.Request) (from, number string) {
	id, _ := r.Context().Value(identityKey{}).(identity)
	return id.from, id.number
}

// Take wraps the handler of requests that other nodes relay to this one. Others are
// refused with 403. The handler sees the client's address and URL. Take confirms a
// request at once, by 102.
func (p *Relay) Take(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, ok := parseSeal(r.Header.Get(sealHeader))
		if !ok || !s.holds(p.key, p.cfg.Tag, r) || !p.windows.fresh(s.from, s.number) {
			p.refused.Add(1)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set(sealHeader, sealRefused)
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":{"code":"forbidden","message":"this is for the cluster's own nodes"}}` + "\n"))
			return
		}
		id := identity{s.from, strconv.FormatUint(s.number, 10)}
		if s.first != 0 {
			p.windows.fresh(s.from, s.first) // the first try is not accepted any more, should it still arrive
			id.number = strconv.FormatUint(s.first, 10)
		}
		if !websocket.IsWebSocketUpgrade(r) {
			w.WriteHeader(http.StatusProcessing)
		}
		r.Header.Del(sealHeader)
		r.RemoteAddr, r.URL.Scheme = s.client, s.scheme
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, id)))
	})
}

// Stats returns the counts so far.
func (p *Relay) Stats() Stats {
	p.mu.Lock()
	open := len(p.open)
	p.mu.Unlock()
	return Stats{Open: open, Passed: p.passed.Load(), Failed: p.failed.Load(), Refused: p.refused.Load()}
}

// Breaks returns the functions that close each relayed WebSocket.
func (p *Relay) Breaks() []func() {
	var all []func()
	for _, f := range p.all() {
		if f.upgrade {
			all = append(all, f.cancel)
		}
	}
	return all
}

func (p *Relay) all() []*forward {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.open))
}

// ReleasePolls asks the owners to answer the polls in flight, so that none breaks off when
// this node ends: a client would treat that as the end of its session. It returns when
// all owners were asked, after releaseTimeout at the latest.
func (p *Relay) ReleasePolls() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	var asking sync.WaitGroup
	tickets := make(chan struct{}, restMost)
	for _, f := range p.all() {
		if f.sid == "" {
			continue
		}
		tickets <- struct{}{}
		asking.Go(func() { // ends with ctx; waited for below
			defer func() { <-tickets }()
			p.releasePoll(ctx, f)
		})
	}
	asking.Wait()
}

// releasePoll asks the owner of one poll; its answer does not matter.
func (p *Relay) releasePoll(ctx context.Context, f *forward) {
	uri := p.cfg.ReleasePath + "?sid=" + url.QueryEscape(f.sid)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.addr+uri, nil)
	if err != nil {
		return
	}
	s := seal{from: p.cfg.Tag, number: p.count.Add(1)}
	r.Header.Set(sealHeader, s.text(p.key, f.tag, r, uri))
	if answer, err := p.transport.RoundTrip(r); err == nil {
		_ = answer.Body.Close()
	}
}

// Close ends the relayed requests, and waits for their end. No request is relayed after
// it.
func (p *Relay) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, f := range p.all() {
		f.cancel()
	}
	p.ended.Wait()
	p.transport.CloseIdleConnections()
}

// buffers are for copying answers.
type buffers struct{ pool sync.Pool }

// Get returns a buffer (httputil.BufferPool).
func (b *buffers) Get() []byte {
	if v, ok := b.pool.Get().(*[copyBytes]byte); ok {
		return v[:]
	}
	return make([]byte, copyBytes)
}

// Put returns a buffer to the pool (httputil.BufferPool).
func (b *buffers) Put(v []byte) { b.pool.Put((*[copyBytes]byte)(v)) }
