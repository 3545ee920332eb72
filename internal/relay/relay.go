// Package relay lets the nodes of a cluster pass requests on to each other: one
// that reached a node, but belongs to a session which another holds, goes to its
// owner, and the answer back, be it a poll's or a whole WebSocket.
//
// What is passed on is sealed with a key that only the cluster's nodes have, and
// is taken once: by the owner, which never passes it on again. The owner may
// therefore believe what it says of the client.
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

// Config says who a node is, and how it finds the others.
type Config struct {
	// Tag is the node's in the ids of its sessions; see NewTag.
	Tag string
	// Secret is what the nodes share.
	Secret []byte
	// Find returns the address of the live node with a tag.
	Find func(tag string) (addr string, ok bool)
	// Longest is how long the owner may take to answer a poll that it has taken.
	Longest time.Duration
	// MaxBody is the largest body that is kept to be sent again.
	MaxBody int64
	// Path is where nodes take what is passed on, and LetGoPath where they are
	// told to let a poll go, whose session is in "sid".
	Path, LetGoPath string
	// Log takes what an operator should know.
	Log *slog.Logger
}

// RestWithin is how long a connection to another node may rest between two requests.
// Servers must keep it longer, so that none is used in the moment of its end.
const RestWithin = 30 * time.Second

// Timings and sizes of the connections to other nodes.
const (
	restMost = 64 // for each node
	// letGoWithin bounds how long owners are asked to let polls go.
	letGoWithin = time.Second
	copyBytes   = 8 << 10
)

// Relay is one node's side of it.
type Relay struct {
	cfg       Config
	key       []byte
	transport *http.Transport
	proxy     *httputil.ReverseProxy
	count     atomic.Uint64 // numbers what is passed on

	passed, failed, refused atomic.Int64

	windows windows

	mu     sync.Mutex // guards the fields below
	closed bool
	open   map[*forward]struct{}
	ended  sync.WaitGroup
	warned time.Time // when a failure was logged last
	silent int       // failures since then
}

// Stats are what a Relay counted.
type Stats struct {
	// Open are the requests that are being passed on now, Passed all of them so
	// far, and Failed those that their owner did not answer.
	Open           int
	Passed, Failed int64
	// Refused came to this node without the seal.
	Refused int64
}

// forward is one request on its way to its owner.
type forward struct {
	tag, addr string
	sid       string // of a poll, "" for anything else
	client    string // as in http.Request.RemoteAddr
	scheme    string // by which the client came
	upgrade   bool
	cancel    context.CancelFunc
	body      func() io.Reader // of the request; as often as it takes where it is whole
	whole     bool
	err       error // why nothing was answered
}

// forwardKey is the context's for a forward.
type forwardKey struct{}

// tagBytes is enough that no two nodes of a cluster ever have one tag.
const tagBytes = 9

// sealRefused stands in the answer to a request whose seal does not hold: who
// passed it on takes it for no answer, as of a node that is gone.
const sealRefused = "refused"

// NewTag makes the tag of a node that starts. It says nothing about the node.
func NewTag() string {
	var b [tagBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// New makes a Relay; Close ends it.
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
				return errRefused // a node that started anew at the owner's address
			}
			return nil
		},
		BufferPool: &buffers{},
		ErrorLog:   slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return p, nil
}

// Forward passes a request on to the node with the tag, and its answer back. Its
// RemoteAddr, Host and URL.Scheme are the client's, and arrive as such. It returns
// false where there is no such node any more: then nothing was written.
// Where there is one that does not answer, or can't be reached, the client gets 503,
// since its session may live.
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

// forward passes on a request that is answered and done.
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
	if f.load(w, r, p.cfg.MaxBody) != nil { // the client broke it off
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

// outcome sees to a request whose owner did not answer.
func (p *Relay) outcome(w http.ResponseWriter, r *http.Request, f *forward, err error) bool {
	if err == nil || r.Context().Err() != nil {
		return true
	}
	p.failed.Add(1)
	p.warn(f, err)
	if errors.Is(err, errRefused) || errors.Is(err, syscall.ECONNREFUSED) {
		return false // nobody is there who could hold the session
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

// warn logs that a request could not be passed on, once a minute.
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

// address addresses what came in to its owner.
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

// identityKey is the context's for what Identity returns.
type identityKey struct{}

// identity is by what a request is known that was passed on.
type identity struct{ from, number string }

// Identity tells which node passed a request on that Take has taken, and what tells
// it from all others of that node, however often it is sent; "" for others.
func Identity(r *http.Request) (from, number string) {
	id, _ := r.Context().Value(identityKey{}).(identity)
	return id.from, id.number
}

// Take wraps what serves the requests that other nodes pass on to this one. Any
// other request is refused with 403; those that are passed on come as from their
// client. The node that passes one on is told at once that it was taken, by 102.
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
			p.windows.fresh(s.from, s.first) // the first one is not taken any more, should it still come
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

// Breaks returns what breaks off each WebSocket that is being passed on.
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

// LetGo has the owners answer the polls that are being passed on, so that none is
// broken off when this node ends: a client would take that for the end of its
// session. It returns when all owners were asked, at most after letGoWithin.
func (p *Relay) LetGo() {
	ctx, cancel := context.WithTimeout(context.Background(), letGoWithin)
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
			p.letGo(ctx, f)
		})
	}
	asking.Wait()
}

// letGo asks the owner of one poll; who does not answer needs no more of it.
func (p *Relay) letGo(ctx context.Context, f *forward) {
	uri := p.cfg.LetGoPath + "?sid=" + url.QueryEscape(f.sid)
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

// Close breaks off what is being passed on, and waits for its end. Nothing is
// passed on after it.
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

// Get takes one (httputil.BufferPool).
func (b *buffers) Get() []byte {
	if v, ok := b.pool.Get().(*[copyBytes]byte); ok {
		return v[:]
	}
	return make([]byte, copyBytes)
}

// Put gives one back (httputil.BufferPool).
func (b *buffers) Put(v []byte) { b.pool.Put((*[copyBytes]byte)(v)) }
